#include "cli/history_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "cli/json_read.h"
#include "cli/text_table.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::string word(const json& object, const char* key) {
  const json* found = member(object, key);
  return found ? escape_for_terminal(found->get<std::string>()) : "";
}

// "2026-11-21T06:18:04.123456789Z" to the second.
std::string to_second(const std::string& time) {
  const size_t dot = time.find('.');
  return dot == time.npos ? time : time.substr(0, dot) + "Z";
}

std::string moment(const json& object, const char* key) {
  return to_second(word(object, key));
}

std::string number(const json& object, const char* key) {
  const json* found = member(object, key);
  return found ? std::to_string(found->get<uint64_t>()) : "-";
}

// Each twice: as it was raised, and as it was resolved; as time went. Before the time that was asked for
// nothing is told.
void add_findings(std::vector<std::string>& lines, const json& document) {
  const std::string since = document.at("since");
  std::vector<std::pair<std::string, std::string>> events;
  for (const json& finding : document.at("findings")) {
    const std::string what = word(finding, "severity") + " " + word(finding, "kind") + " (" +
                             word(finding, "certainty") + "): " + word(finding, "summary") + "  " +
                             word(finding, "id");
    const bool lasts = !member(finding, "resolved");
    const std::string first = finding.at("first_seen");
    events.emplace_back(first, (lasts ? "raised, lasts  " : "raised         ") + what);
    if (lasts) continue;
    const bool unwatched = finding.value("resolved_exactness", json()) == "estimated";
    events.emplace_back(finding.at("resolved").get<std::string>(),
                        "resolved       " + what + "  " + word(finding, "resolution") +
                            (unwatched ? ", at some time from " + moment(finding, "last_seen") : ""));
  }
  std::ranges::stable_sort(events, {}, &std::pair<std::string, std::string>::first);
  if (events.empty()) lines.emplace_back("no findings");
  for (const auto& [time, text] : events) lines.push_back(escape_for_terminal(to_second(time)) + "  " + text);
  if (const auto left = document.at("findings_left_out").get<uint64_t>())
    lines.push_back(std::to_string(left) + " earlier ones are left out: --limit");
}

// What lies between, before and behind the times in which a loiterd ran.
void add_gaps(std::vector<std::string>& lines, const json& document) {
  constexpr size_t kMostTold = 8;
  std::string from = document.at("since");
  std::vector<std::string> gaps;
  const auto add = [&](const std::string& to) {
    if (to_second(from) < to_second(to))
      gaps.push_back("not watched: " + escape_for_terminal(to_second(from)) + " to " +
                     escape_for_terminal(to_second(to)));
  };
  for (const json& span : document.at("watched")) {
    add(span.at("begin"));
    from = span.at("end");
  }
  add(document.at("until"));
  const size_t first = gaps.size() > kMostTold ? gaps.size() - kMostTold : 0;
  if (first) lines.push_back("not watched: " + std::to_string(first) + " earlier times as well");
  lines.insert(lines.end(), gaps.begin() + static_cast<std::ptrdiff_t>(first), gaps.end());
}

void add_processes(std::vector<std::string>& lines, const json& document, Glyphs glyphs) {
  const json& processes = document.at("processes");
  if (processes.empty()) return;
  TextTable table;
  for (const char* name : {"PID", "LEAST", "MOST", "LAST", "BORN", "ENDED"}) table.add_column(name, true);
  for (const char* name : {"NAME", "THREADS", "STARTED, ENDED"}) table.add_column(name);
  for (const json& process : processes) {
    std::string lived = moment(process, "start_time");
    if (member(process, "ended")) lived += ", " + moment(process, "ended");
    table.add_row({std::to_string(process.at("pid").get<uint32_t>()), number(process, "least"),
                   number(process, "most"), number(process, "live"), number(process, "births"),
                   number(process, "ends"), word(process, "comm"), bar_line(process.at("periods"), glyphs),
                   lived});
  }
  lines.emplace_back("");
  lines.push_back("threads, each bar " + format_duration(document.at("period_ns").get<uint64_t>()) + ":");
  for (std::string& line : table.lines()) lines.push_back(std::move(line));
  if (const auto left = document.at("processes_left_out").get<uint64_t>())
    lines.push_back(std::to_string(left) + " more processes, which changed less: --limit");
}

}  // namespace

std::string bar_line(const json& periods, Glyphs glyphs) {
  constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::array<std::string_view, 8> kAscii{".", ":", "-", "=", "+", "*", "#", "@"};
  const auto& bars = glyphs == Glyphs::unicode ? kBlocks : kAscii;
  const auto most_of = [](const json& period) -> std::optional<uint64_t> {
    const json* most = period.is_null() ? nullptr : member(period, "most");
    return most ? std::optional(most->get<uint64_t>()) : std::nullopt;
  };
  uint64_t tallest = 1;
  for (const json& period : periods) tallest = std::max(tallest, most_of(period).value_or(0));
  std::string line;
  for (const json& period : periods) {
    const auto most = most_of(period);
    const double part = static_cast<double>(most.value_or(0)) / static_cast<double>(tallest);
    line += most ? bars[std::min<size_t>(7, static_cast<size_t>(part * 7.999))] : std::string_view(" ");
  }
  return line;
}

std::vector<std::string> history_lines(const json& document, Glyphs glyphs) {
  std::vector<std::string> lines{"from " + moment(document, "since") + " to " + moment(document, "until")};
  add_gaps(lines, document);
  add_findings(lines, document);
  add_processes(lines, document, glyphs);
  return lines;
}

}  // namespace loiter::cli
