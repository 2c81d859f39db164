#include "cli/ignore_rule.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/json_read.h"
#include "cli/stack_model.h"
#include "cli/stack_text.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr std::string_view kReplaced = "\xef\xbf\xbd";
constexpr size_t kMostPattern = 1000;  // bytes: loiterd takes 1024

// A longer name is matched by its beginning.
std::string bounded_glob(std::string_view text) {
  std::string glob = exact_glob(text);
  if (glob.size() <= kMostPattern) return glob;
  // Each byte takes two at most. What was cut in two becomes U+FFFD, and so a star.
  return exact_glob(to_valid_utf8(text.substr(0, kMostPattern / 2))) + "*";
}

bool tells_nothing(const std::string& glob) {
  return glob.find_first_not_of('*') == glob.npos;
}

size_t length_of_code_point(std::string_view text) {
  size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) ++length;
  return length;
}

uint32_t code_of(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  constexpr std::array<unsigned char, 5> kMask{0, 0x7f, 0x1f, 0x0f, 0x07};
  uint32_t code = bytes.size() < kMask.size() ? first & kMask[bytes.size()] : 0;
  for (const char c : bytes.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3f);
  return code;
}

// "worker-12" is one of "worker-*".
std::string name_glob(const std::string& name) {
  const size_t last = name.find_last_not_of("0123456789");
  const bool numbered = last != name.npos && last + 1 < name.size();
  return numbered ? bounded_glob(name.substr(0, last + 1)) + "*" : bounded_glob(name);
}

std::optional<std::string> text_of(const json& object, const char* key) {
  std::optional<std::string> text;
  read(object, key, text);
  return text && !text->empty() ? text : std::nullopt;
}

// Of the program's own code: the libraries' start routines tell nothing.
std::string routine_of(const json& thread) {
  const json* routine = member(thread, "start_routine");
  if (!routine) return "";
  if (const auto callable = text_of(*routine, "callable")) return bounded_glob(*callable);
  const StackFrame frame = parse_frame(*routine);
  return frame.symbol && !is_of_libraries(frame) ? bounded_glob(*frame.symbol) : "";
}

std::string frame_of(const json& thread) {
  std::vector<StackFrame> frames;
  if (const json* stack = member(thread, "stack"))
    for (const json& frame : *stack) frames.push_back(parse_frame(frame));
  const size_t end = end_of_own_frames(frames);
  for (size_t i = first_own_frame(frames); i < end; ++i) {
    if (frames[i].symbol && !frames[i].symbol->empty() && !is_of_libraries(frames[i]))
      return bounded_glob(*frames[i].symbol);
  }
  return "";
}

std::string thread_of(const json& thread) {
  const auto name = text_of(thread, "name");
  const bool tells = name && name != text_of(thread, "comm");
  return tells ? name_glob(*name) : "";
}

// In a chain the root's; of threads that merely share a finding, what all of them have that have it at all.
template <typename Tell>
std::string common(const json& finding, Tell tell) {
  const json& threads = finding.at("threads");
  if (threads.empty()) return "";
  if (finding.value("chain", size_t{0}) > 0) return tell(threads[0]);
  std::string told;
  for (const json& thread : threads) {
    const std::string one = tell(thread);
    if (one.empty()) continue;
    if (!told.empty() && told != one) return "";
    told = one;
  }
  return told;
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::string_view one = text.substr(0, length_of_code_point(text));
    text.remove_prefix(one.size());
    if (one == "\"" || one == "\\") {
      out += "\\" + std::string(one);
    } else if (escape_for_terminal(one) == one) {
      out += one;
    } else {
      std::array<char, 16> escape{};
      const uint32_t code = code_of(one);
      snprintf(escape.data(), escape.size(), code > 0xffff ? "\\U%08X" : "\\u%04X", code);
      out += escape.data();
    }
  }
  return out + "\"";
}

std::string exact_glob(std::string_view text) {
  std::string glob;
  while (!text.empty()) {
    if (text.starts_with(kReplaced)) {
      if (!glob.ends_with('*') || glob.ends_with("\\*")) glob += '*';
      text.remove_prefix(kReplaced.size());
      continue;
    }
    if (std::string_view("*?[\\").find(text[0]) != std::string_view::npos) glob += '\\';
    glob += text[0];
    text.remove_prefix(1);
  }
  return glob;
}

std::vector<std::pair<std::string, std::string>> ignore_matches(const json& finding) {
  std::vector<std::pair<std::string, std::string>> matches;
  const auto add = [&](const char* key, const std::string& glob) {
    if (!tells_nothing(glob)) matches.emplace_back(key, glob);
  };
  const json& process = finding.at("process");
  add("comm", bounded_glob(text_of(process, "comm").value_or("")));
  if (matches.empty()) add("exe", bounded_glob(text_of(process, "exe").value_or("")));
  add("kind", finding.at("kind").get<std::string>());
  const std::string routine = common(finding, routine_of);
  if (routine.empty())
    add("thread", common(finding, thread_of));
  else
    add("start_routine", routine);
  add("frame", common(finding, frame_of));
  return matches;
}

std::vector<std::string> ignore_rule(const json& finding) {
  std::vector<std::string> lines{"# " + escape_for_terminal(text_of(finding, "id").value_or("")) + ": " +
                                 escape_for_terminal(text_of(finding, "summary").value_or(""))};
  const auto matches = ignore_matches(finding);
  const bool tells = std::ranges::any_of(
      matches, [](const auto& match) { return match.first != "comm" && match.first != "kind"; });
  if (!tells)
    lines.emplace_back("# Nothing more telling is known of it: this ignores all of that kind there.");
  lines.emplace_back("[[rule]]");
  for (const auto& [key, glob] : matches) lines.push_back(key + " = " + toml_string(glob));
  lines.emplace_back("ignore = true");
  lines.emplace_back("reason = \"say here why this is as it should be\"");
  return lines;
}

}  // namespace loiter::cli
