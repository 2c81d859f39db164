#include "cli/why_text.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "cli/chain_text.h"
#include "cli/stack_text.h"
#include "cli/wait_text.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

constexpr size_t kToldFrames = 4, kToldLinks = 4, kToldKinds = 4;

// --- which one ---------------------------------------------------------------------------------------

// Threads that wait for idle ones to end, or for what those may have to say, are idle as well.
bool is_idle(const Chain& chain) {
  if (chain.end != "waits") return false;
  return std::ranges::all_of(chain.links, [](const ChainLink& link) {
    return link.wait && wait_class(*link.wait) == WaitClass::idle;
  });
}

uint64_t longest_of(const Chain& chain) {
  uint64_t longest = 0;
  for (const ChainLink& link : chain.links) longest = std::max(longest, link.age.blocked_ns.value_or(0));
  return longest;
}

auto rank_of(const Chain& chain) {
  const bool orphan = is_hopeless(chain);
  return std::tuple(chain.cycle, orphan, chain.waiters, longest_of(chain));
}

std::optional<size_t> chain_that_counts(const Chains& chains) {
  std::optional<size_t> best;
  for (size_t i = 0; i < chains.chains.size(); ++i) {
    const Chain& chain = chains.chains[i];
    if (!is_telling(chain) || is_idle(chain)) continue;
    if (!best || rank_of(chain) > rank_of(chains.chains[*best])) best = i;
  }
  return best;
}

bool is_blocked(const ThreadRow& thread) {
  return thread.age.exactness.has_value();
}

// What one that ran while it was looked at waits for is not told, but it is awake now and then.
WaitClass class_of(const ThreadRow& thread) {
  constexpr uint64_t kAwakeNs = 10'000'000'000;
  if (thread.wait) return wait_class(*thread.wait);
  return thread.age.blocked_ns.value_or(kAwakeNs) < kAwakeNs ? WaitClass::idle : WaitClass::unclear;
}

std::optional<size_t> longest_blocked(const Tree& tree, WaitClass which) {
  std::optional<size_t> best;
  for (size_t i = 0; i < tree.threads.size(); ++i) {
    const ThreadRow& thread = tree.threads[i];
    if (!is_blocked(thread) || class_of(thread) != which) continue;
    if (!best || thread.age.blocked_ns > tree.threads[*best].age.blocked_ns) best = i;
  }
  return best;
}

// --- in words ----------------------------------------------------------------------------------------

std::string process_text(const ProcessRow& process) {
  return std::to_string(process.pid) + " (" + escape_for_terminal(process.comm) + ")";
}

std::string threads_text(uint64_t count) {
  return std::to_string(count) + (count == 1 ? " thread" : " threads");
}

std::string named(const ThreadRow& thread) {
  return std::to_string(thread.tid) + " " + escape_for_terminal(thread.name);
}

// "4713 worker (blocked for about 3m12s)"
std::string with_age(const std::string& who, const Age& age) {
  const std::string words = age_in_words(age);
  return words.empty() ? who : who + " (blocked " + words + ")";
}

std::string link_does(const ChainLink& link) {
  if (link.wait) return wait_sentence(*link.wait);
  return link.state.empty() ? "does what is not known" : "is " + escape_for_terminal(link.state);
}

// "4713 worker waits for … for 3m12s; 4712 reader waits for …": the first link, and those next to the root.
std::string links_text(const Chain& chain, size_t end, uint32_t own_pid) {
  std::string text;
  const size_t skipped = end > kToldLinks ? end - kToldLinks : 0;
  for (size_t i = 0; i < end; ++i) {
    if (i > 0 && i <= skipped) {
      if (i == skipped) text += "; then " + threads_text(skipped) + " more in a row";
      continue;
    }
    const ChainLink& link = chain.links[i];
    text += (i == 0 ? "" : "; ") + with_age(who_text(link, own_pid), link.age) + " " + link_does(link);
  }
  return text;
}

// Somebody in the cycle waits only for so long.
bool has_time_limit(const Chain& chain) {
  return std::any_of(chain.links.begin() + static_cast<ptrdiff_t>(cycle_entry(chain)), chain.links.end(),
                     [](const ChainLink& link) { return link.wait && link.wait->bounded == true; });
}

std::string chain_text(const Chain& chain, uint32_t own_pid) {
  const size_t count = chain.links.size();
  if (chain.cycle) {
    const size_t members = count - std::min(cycle_entry(chain), count);
    return "DEADLOCK of " + threads_text(members) + ": " + links_text(chain, count, own_pid) +
           ". So it goes " + "back to " + who_text(chain.links[cycle_entry(chain)], own_pid) +
           ", and none of them can go on" + (has_time_limit(chain) ? " until one's time is up; " : "; ") +
           threads_text(chain.waiters) + " in all " + (chain.waiters == 1 ? "stands" : "stand") +
           " still for it.";
  }
  const ChainLink& root = chain.links[chain.root];
  const std::string who = who_text(root, own_pid);
  const std::string waiting = threads_text(chain.waiters) + (chain.waiters == 1 ? " waits" : " wait");
  if (chain.end == "running")
    return waiting + " for " + who + ", which runs: " + links_text(chain, count - 1, own_pid) + ".";
  if (chain.end == "waits")
    return waiting + " for " + with_age(who, root.age) + ", which itself " + link_does(root) + ": " +
           links_text(chain, count - 1, own_pid) + ".";
  const bool orphan = is_hopeless(chain);
  return std::string(orphan ? "a lock that nobody can give back, for which "
                            : "a lock or the like whose holder is not known, for which ") +
         waiting + ": " + links_text(chain, count, own_pid) + "; " + end_text(chain, own_pid) + ".";
}

std::string frames_text(const std::vector<StackFrame>& frames) {
  std::string text;
  const size_t first = first_own_frame(frames);
  const size_t end = std::min(end_of_own_frames(frames), first + kToldFrames);
  for (size_t i = first; i < end; ++i) {
    StackFrame frame = frames[i];
    if (frame.file) frame.file = std::string(base_name(*frame.file));
    text += (i == first ? "" : ", called from ") + frame_text(frame);
  }
  return text;
}

std::string stack_text(const Root& root, const StackThread* stack, const std::string& why_none) {
  if (root.tid == 0) return "";
  const std::string who = std::to_string(root.tid);
  if (!stack)
    return why_none.empty()
               ? ""
               : " The stack of " + who + " is not to be had: " + escape_for_terminal(why_none) + ".";
  if (stack->frames.empty())
    return " There is no stack of " + who + (stack->cut ? ": " + escape_for_terminal(*stack->cut) : "") + ".";
  return " " + who + " is at " + frames_text(stack->frames) + ".";
}

// "3 in epoll_wait, 1 in nanosleep": what the blocked threads are in, most common first.
std::string kinds_text(const Tree& tree, WaitClass which) {
  std::map<std::string, size_t> counts;
  for (const ThreadRow& thread : tree.threads) {
    if (!is_blocked(thread) || class_of(thread) != which) continue;
    const std::string kind = thread.wait ? thread.wait->kind : "";
    ++counts[!kind.empty() && kind != "other" ? kind : thread.syscall.value_or("what is not known")];
  }
  std::vector<std::pair<size_t, std::string>> order;
  order.reserve(counts.size());
  for (const auto& [kind, count] : counts) order.emplace_back(count, kind);
  std::ranges::stable_sort(order, std::ranges::greater(), [](const auto& entry) { return entry.first; });
  std::string text;
  for (size_t i = 0; i < order.size() && i < kToldKinds; ++i)
    text += (i ? ", " : "") + std::to_string(order[i].first) + " in " + escape_for_terminal(order[i].second);
  if (order.size() > kToldKinds) text += " and other waits";
  return text;
}

std::string thread_does(const ThreadRow& thread) {
  if (thread.wait) return wait_sentence(*thread.wait);
  if (thread.syscall) return "is blocked in " + escape_for_terminal(*thread.syscall);
  return "is blocked in something not known";
}

// A process that somebody has stopped: its threads could not even be stuck.
std::optional<std::string> stopped_text(const Tree& tree) {
  const auto is_held = [](const ThreadRow& thread) {
    return thread.wait && (thread.wait->kind == "stopped" || thread.wait->kind == "frozen");
  };
  if (tree.threads.empty() || !std::ranges::all_of(tree.threads, is_held)) return std::nullopt;
  const ThreadRow& longest = tree.threads[*longest_blocked(tree, WaitClass::idle)];
  const std::string by = escape_for_terminal(longest.wait->detail.value_or(""));
  std::string text = "it is " + longest.wait->kind + (by.empty() ? "" : " " + by);
  if (const std::string age = age_in_words(longest.age); !age.empty()) text += ", " + age;
  return text + (longest.wait->kind == "stopped" && by.empty() ? "; SIGCONT lets it go on." : ".");
}

std::string nothing_stuck(const Tree& tree) {
  if (const std::optional<std::string> stopped = stopped_text(tree)) return *stopped;
  const auto blocked = static_cast<size_t>(std::ranges::count_if(tree.threads, is_blocked));
  const size_t count = tree.threads.size();
  if (blocked == 0)
    return "nothing of it is blocked: " +
           (count == 1 ? "its one thread runs." : "all of its " + threads_text(count) + " run.");
  std::string text = "nothing in it is known to be stuck. ";
  text += count == 1         ? "Its one thread"
          : blocked == count ? "All of its " + threads_text(count)
                             : std::to_string(blocked) + " of its " + threads_text(count);
  text += std::string(blocked == 1 ? " waits as one that is idle does (" : " wait as idle ones do (") +
          kinds_text(tree, WaitClass::idle) + ")";
  if (count > blocked) text += ", the rest " + std::string(count - blocked == 1 ? "runs" : "run");
  const std::optional<size_t> longest = longest_blocked(tree, WaitClass::idle);
  if (!longest) return text + ".";
  const ThreadRow& oldest = tree.threads[*longest];
  return text + ". The longest: " + with_age(named(oldest), oldest.age) + " " + thread_does(oldest) + ".";
}

std::string oldest_text(const Tree& tree, const ThreadRow& thread) {
  std::string text = with_age(named(thread), thread.age) + " " + thread_does(thread) + ".";
  if (class_of(thread) == WaitClass::must_end)
    return "no thread waits for another, but one has stood still for longest in a wait that should end: " +
           text;
  return "no thread waits for another that is known. Some may be idle or stuck, since what they wait for is "
         "not "
         "known (" +
         kinds_text(tree, WaitClass::unclear) + "). The longest: " + text;
}

}  // namespace

Root find_root(const Tree& tree, const Chains& chains) {
  Root root;
  root.chain = chain_that_counts(chains);
  if (root.chain) {
    const Chain& chain = chains.chains[*root.chain];
    const ChainLink& link = chain.links[chain.root];
    root.pid = link.pid.value_or(tree.process.pid);
    root.tid = link.tid.value_or(0);
    return root;
  }
  root.thread = longest_blocked(tree, WaitClass::must_end);
  if (!root.thread) root.thread = longest_blocked(tree, WaitClass::unclear);
  if (root.thread) {
    root.pid = tree.process.pid;
    root.tid = tree.threads[*root.thread].tid;
  }
  return root;
}

std::string why_text(const Tree& tree, const Chains& chains, const Root& root, const StackThread* stack,
                     const std::string& why_none) {
  const std::string process = process_text(tree.process) + ": ";
  if (tree.process.ended)
    return process + "it has ended, at " + escape_for_terminal(*tree.process.ended) + ".";
  if (root.chain)
    return process + chain_text(chains.chains[*root.chain], tree.process.pid) +
           stack_text(root, stack, why_none);
  if (root.thread)
    return process + oldest_text(tree, tree.threads[*root.thread]) + stack_text(root, stack, why_none);
  return process + nothing_stuck(tree);
}

}  // namespace loiter::cli
