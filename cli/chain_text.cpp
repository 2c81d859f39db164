#include "cli/chain_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/wait_text.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

constexpr size_t kDeepest = 20;  // levels of indentation; a longer chain goes on below each other

// Ends that need no explanation.
constexpr auto kPlainEnds =
    std::to_array<std::string_view>({"running", "waits", "cycle", "holder_ended", "inherited", "deadlocked"});

std::string number_of(std::optional<uint32_t> number) {
  return number ? std::to_string(*number) : "?";
}

// Who the holder was, where it is no link any more.
std::string former_owner(const Chain& chain) {
  const std::optional<Wait>& wait = chain.links.back().wait;
  return wait && wait->holder_tid ? " " + std::to_string(*wait->holder_tid) : "";
}

std::string link_line(const ChainLink& link, uint32_t own_pid, std::optional<size_t> columns) {
  std::string line = link.via ? escape_for_terminal(*link.via) + ": " : "";
  line += who_text(link, own_pid);
  line += ", " + (link.state.empty() ? "state not known" : escape_for_terminal(link.state));
  if (const std::string age = format_age(link.age, true); !age.empty())
    line += age == "?" ? " for how long is not known" : " " + age;
  if (!link.wait) return line;
  const std::string wait = ", " + wait_text_long(*link.wait);
  if (!columns || display_width(line + wait) <= *columns) return line + wait;
  constexpr size_t kLeast = 16;  // of a wait: what is less than that tells nothing
  const size_t used = display_width(line) + 2;
  return line + ", " + wait_text_within(*link.wait, std::max(*columns - std::min(*columns, used), kLeast));
}

std::string waiters_text(const Chain& chain) {
  return std::to_string(chain.waiters) + (chain.waiters == 1 ? " waiter" : " waiters");
}

void add_chain(std::vector<std::string>& lines, const Chain& chain, uint32_t own_pid,
               std::optional<size_t> columns) {
  const ChainLink& root = chain.links[chain.root];
  lines.push_back(chain.cycle ? "DEADLOCK, " + waiters_text(chain)
                              : waiters_text(chain) + " behind " + who_text(root, own_pid));
  auto indentation = [](size_t level) { return 2 + 2 * std::min(level, kDeepest); };
  for (size_t i = 0; i < chain.links.size(); ++i) {
    std::optional<size_t> left;
    if (columns) left = *columns - std::min(*columns, indentation(i));
    lines.push_back(std::string(indentation(i), ' ') + link_line(chain.links[i], own_pid, left));
  }
  std::string end = "=> " + end_text(chain, own_pid);
  const bool says_all = std::ranges::find(kPlainEnds, chain.end) != kPlainEnds.end() ||
                        chain.detail == "who holds it could not be told";
  if (!says_all && !chain.detail.empty()) end += " (" + escape_for_terminal(chain.detail) + ")";
  lines.push_back(std::string(indentation(chain.links.size()), ' ') + end);
}

}  // namespace

std::string who_text(const ChainLink& link, uint32_t own_pid) {
  const bool other = link.pid && *link.pid != own_pid;
  if (other && link.tid == link.pid)
    return "pid " + std::to_string(*link.pid) +
           (link.comm.empty() ? "" : " " + escape_for_terminal(link.comm));
  std::string text;
  if (link.tid || !other) {
    text = number_of(link.tid);
    const std::string& name = link.name.empty() ? link.comm : link.name;
    if (!name.empty()) text += " " + escape_for_terminal(name);
    if (other) text += " of ";
  }
  if (other)
    text +=
        "pid " + std::to_string(*link.pid) + (link.comm.empty() ? "" : " " + escape_for_terminal(link.comm));
  return text;
}

std::string end_text(const Chain& chain, uint32_t own_pid) {
  if (chain.links.empty()) return "nobody";
  const ChainLink& last = chain.links.back();
  const std::string who = who_text(last, own_pid);
  if (chain.cycle) return "DEADLOCK: back to " + who_text(chain.links[cycle_entry(chain)], own_pid);
  if (chain.end == "running") return who + " runs";
  if (chain.end == "waits")
    return who + " " + (last.wait ? wait_sentence(*last.wait) : "waits, for what is not known");
  if (chain.end == "holder_ended")
    return "the owner" + former_owner(chain) + " has ended: nobody can unlock it any more";
  if (chain.end == "inherited") return "it was locked before the fork: nobody in this process can unlock it";
  if (chain.end == "deadlocked")
    return "DEADLOCK: " + who + " would have waited for itself, and waits for good";
  if (chain.end == "only_itself")
    return "only " + who + " itself could end that, and nothing else of it runs";
  if (chain.end == "too_long")
    return "the chain goes on: only its first " + std::to_string(chain.links.size()) + " are told";
  if (last.wait && last.wait->kind == "file_lock" && last.wait->peers.size() > 1)
    return "several hold it together, and any of them may give it back";
  return "who holds it is not known";
}

std::string age_in_words(const Age& age) {
  if (!age.exactness) return "";
  if (!age.blocked_ns || age.exactness == Exactness::unknown) return "for an unknown time";
  const std::string length = format_duration(*age.blocked_ns);
  if (age.exactness == Exactness::exact) return "for " + length;
  if (age.exactness == Exactness::lower_bound) return "for at least " + length;
  const std::string range = format_age(age, true);
  const size_t dots = range.find("..");
  if (dots == range.npos) return "for about " + length;
  return "for " + range.substr(0, dots) + " to " + range.substr(dots + 2);
}

std::vector<std::string> chains_lines(const Chains& chains, std::optional<uint32_t> tid,
                                      std::optional<size_t> columns) {
  const ProcessRow& process = chains.process;
  const std::string heading = std::to_string(process.pid) + " " + escape_for_terminal(process.comm);
  std::vector<std::string> lines;
  for (const Chain& chain : chains.chains) {
    if (chain.links.empty() || (!tid && !is_telling(chain))) continue;
    lines.push_back(lines.empty() ? heading : "");
    add_chain(lines, chain, process.pid, columns);
  }
  if (lines.empty() && tid)
    lines.push_back(heading + ": thread " + std::to_string(*tid) + " waits for nobody");
  else if (lines.empty())
    lines.push_back(heading + ": no thread is known to wait for another thread or process");
  return lines;
}

}  // namespace loiter::cli
