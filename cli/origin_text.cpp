#include "cli/origin_text.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>

#include "cli/routine.h"
#include "cli/stack_text.h"
#include "cli/text_table.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

constexpr size_t kPeriods = 8;  // of the history, told

// For programs linked statically, where all of it is one module, and for what a compiler inlined.
bool is_of_creation(const StackFrame& frame) {
  constexpr auto kFunctions = std::to_array<std::string_view>(
      {"clone3", "__clone", "__GI___clone", "create_thread", "pthread_create", "__pthread_create",
       "___pthread_create", "__gthread_create", "std::thread::", "std::jthread::", "std::make_unique<",
       "std::construct_at<"});
  const std::string_view symbol = frame.symbol ? std::string_view(*frame.symbol) : std::string_view();
  return is_of_libraries(frame) || symbol == "clone" ||
         std::ranges::any_of(kFunctions, [&](auto word) { return symbol.starts_with(word); });
}

std::string count_of(uint64_t count, const char* one, const char* several) {
  return std::to_string(count) + " " + (count == 1 ? one : several);
}

// What half of the ended threads did not reach.
std::optional<uint64_t> median_below(const OriginSite& site) {
  const uint64_t total = std::accumulate(site.lifetimes.begin(), site.lifetimes.end(), uint64_t{0});
  uint64_t seen = 0;
  for (size_t i = 0; total > 0 && i < std::min<size_t>(site.lifetimes.size(), 63); ++i) {
    seen += site.lifetimes[i];
    if (2 * seen >= total) return uint64_t{2} << i;
  }
  return std::nullopt;
}

std::string creators_text(const OriginSite& site) {
  std::string text = "made by";
  for (size_t i = 0; i < site.creators.size(); ++i) {
    const OriginCreator& creator = site.creators[i];
    text += (i ? ", " : " ") + std::to_string(creator.tid) + " " + escape_for_terminal(creator.name);
    if (site.creators.size() > 1 || site.other_creators > 0)
      text += " (" + std::to_string(creator.count) + ")";
  }
  if (site.other_creators > 0) text += " and others (" + std::to_string(site.other_creators) + ")";
  return text;
}

std::string tids_text(const std::vector<uint32_t>& tids, size_t columns) {
  std::string text = "live:";
  for (size_t i = 0; i < tids.size(); ++i) {
    const std::string next = (i ? ", " : " ") + std::to_string(tids[i]);
    const std::string left = " and " + std::to_string(tids.size() - i) + " more";
    const size_t after = i + 1 < tids.size() ? left.size() : 0;
    if (i > 0 && text.size() + next.size() + after > columns) return text + left;
    text += next;
  }
  return text;
}

void add_site(std::vector<std::string>& lines, const OriginSite& site, size_t columns) {
  lines.push_back(site_figures(site));
  if (!site.creators.empty()) lines.push_back("  " + creators_text(site));
  if (!site.routines.empty()) {
    std::string text = "  running";
    for (size_t i = 0; i < site.routines.size(); ++i)
      text += (i ? ", " : " ") + routine_text(site.routines[i]);
    lines.push_back(text);
  }
  if (!site.live_tids.empty())
    lines.push_back("  " + tids_text(site.live_tids, columns - std::min<size_t>(columns, 2)));
  for (const std::string& line : site_frame_lines(site)) lines.push_back("  " + line);
}

void add_reasons(std::vector<std::string>& lines, const Origins& origins) {
  if (origins.without_site.empty()) return;
  lines.emplace_back("");
  for (const auto& [reason, count] : origins.without_site) lines.push_back(reason_text(reason, count));
}

// The newest periods, neighbours together where there are more.
void add_history(std::vector<std::string>& lines, const Origins& origins) {
  if (origins.history.empty() || (origins.births == 0 && origins.ends == 0)) return;
  const size_t together = (origins.history.size() + kPeriods - 1) / kPeriods;
  TextTable table;
  table.add_column("AGO", true);
  table.add_column("BORN", true);
  table.add_column("ENDED", true);
  table.add_column("LIVE", true);
  for (size_t first = 0; first < origins.history.size(); first += together) {
    OriginPeriod sum = origins.history[first];
    for (size_t i = first + 1; i < std::min(first + together, origins.history.size()); ++i) {
      sum.births += origins.history[i].births;
      sum.ends += origins.history[i].ends;
      sum.live = origins.history[i].live;
    }
    const uint64_t ago =
        origins.as_of_boottime_ns - std::min(origins.as_of_boottime_ns, sum.begin_boottime_ns);
    table.add_row({format_duration(ago), std::to_string(sum.births), std::to_string(sum.ends),
                   std::to_string(sum.live)});
  }
  lines.emplace_back("");
  for (std::string& line : table.lines()) lines.push_back(std::move(line));
}

std::string private_note() {
  return "only threads made while loiter looks have a site: --for D looks that long first, and a loiterd "
         "that "
         "runs all the time knows them all";
}

}  // namespace

std::string creation_text(const OriginSite& site) {
  if (site.frames.empty()) return "??";
  auto own = std::ranges::find_if_not(site.frames, is_of_creation);
  return frame_text(own == site.frames.end() ? site.frames.back() : *own);
}

std::vector<std::string> site_frame_lines(const OriginSite& site) {
  StackThread thread;
  thread.frames = site.frames;
  thread.cut = site.cut;
  return frame_lines(thread);
}

std::string site_figures(const OriginSite& site) {
  std::string text = std::to_string(site.live) + " live of " + std::to_string(site.births) + " born, " +
                     std::to_string(site.ended) + " ended";
  if (site.oldest_ns) text += "; the oldest lives " + format_duration(*site.oldest_ns);
  if (const auto below = median_below(site))
    text += "; half of the ended ones lived less than " + format_duration(*below);
  return text;
}

std::string reason_text(const std::string& reason, uint64_t count) {
  struct Text {
    std::string_view reason;
    const char* text;
  };
  constexpr auto kTexts = std::to_array<Text>({
      {"before_daemon", "made before loiterd looked"},
      {"pending", "just made: the stack is still being taken apart"},
      {"rate_limited", "made faster than stacks are taken: the sites above are a sample"},
      {"no_slot", "made at once with more others than there is room for stacks"},
      {"unreadable", "made with a stack that could not be read"},
      {"no_user_code", "made by a worker of the kernel, or by 32-bit code"},
      {"not_supported", "made where this kernel does not let stacks be taken: see loiter doctor"},
      {"event_lost", "found by a census: the event of the birth was lost"},
      {"process_gone", "made before the program executed another one"},
      {"not_unwound", "made with a stack that could not be taken apart"},
      {"over_limit", "made beyond --max-threads"},
      {"forgotten", "made at sites that were forgotten to stay within bounds"},
  });
  const auto known = std::ranges::find(kTexts, reason, &Text::reason);
  return "without a site: " + count_of(count, "thread ", "threads ") +
         (known == kTexts.end() ? escape_for_terminal(reason) : known->text);
}

std::vector<std::string> origins_lines(const Origins& origins, size_t columns, bool is_private) {
  std::string heading = std::to_string(origins.process.pid) + " " + escape_for_terminal(origins.process.comm);
  if (!origins.process.exe.empty()) heading += "  " + escape_for_terminal(origins.process.exe);
  heading += "  " + count_of(origins.live, "thread lives", "threads live") + " besides the main one; " +
             std::to_string(origins.births) + " born, " + std::to_string(origins.ends) + " ended since " +
             (is_private ? "loiter began to look" : "loiterd looks");
  std::vector<std::string> lines{heading};
  if (is_private) lines.push_back(private_note());
  for (const OriginSite& site : origins.sites) {
    lines.emplace_back("");
    add_site(lines, site, columns);
  }
  add_reasons(lines, origins);
  add_history(lines, origins);
  return lines;
}

std::map<uint32_t, std::string> sites_of_threads(const Origins& origins) {
  std::map<uint32_t, std::string> texts;
  for (size_t i = 0; i < origins.sites.size(); ++i) {
    const std::string text = "[" + std::to_string(i + 1) + "] " + creation_text(origins.sites[i]);
    for (uint32_t tid : origins.sites[i].live_tids) texts[tid] = text;
  }
  return texts;
}

std::vector<std::string> numbered_sites(const Origins& origins, bool is_private) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < origins.sites.size(); ++i) {
    if (origins.sites[i].live_tids.empty()) continue;
    lines.emplace_back("");
    lines.push_back("[" + std::to_string(i + 1) + "] " + site_figures(origins.sites[i]));
    for (const std::string& line : site_frame_lines(origins.sites[i])) lines.push_back("    " + line);
  }
  add_reasons(lines, origins);
  if (is_private) lines.push_back(private_note());
  return lines;
}

}  // namespace loiter::cli
