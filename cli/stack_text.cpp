#include "cli/stack_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "cli/wait_text.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

constexpr size_t kToldWaits = 3;  // different ones of threads with the same stack

// Threads with the same stack; pointers into the document.
using Group = std::vector<const StackThread*>;

std::string hexadecimal(uint64_t value) {
  std::array<char, 24> buffer;
  const int length = snprintf(buffer.data(), buffer.size(), "0x%llx", static_cast<unsigned long long>(value));
  return {buffer.data(), static_cast<size_t>(length)};
}

// All that makes two stacks the same.
std::string key_of(const StackThread& thread) {
  std::string key;
  for (const std::string& line : frame_lines(thread)) key += line + "\n";
  return key;
}

std::vector<Group> grouped(const std::vector<StackThread>& threads) {
  std::map<std::string, size_t> position;
  std::vector<Group> groups;
  for (const StackThread& thread : threads) {
    const auto [found, is_new] = position.emplace(key_of(thread), groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].push_back(&thread);
  }
  std::ranges::stable_sort(groups, std::ranges::greater(), &Group::size);
  return groups;
}

std::string named(const StackThread& thread) {
  return std::to_string(thread.tid) + " " + escape_for_terminal(thread.name);
}

// "3 threads: 4713 worker, 4714 worker and 1 more".
std::string who_line(const Group& group, size_t columns) {
  if (group.size() == 1) return named(*group[0]);
  const std::string count = std::to_string(group.size()) + " threads";
  std::string line = count + ": " + named(*group[0]);
  for (size_t i = 1; i < group.size(); ++i) {
    const std::string next = ", " + named(*group[i]);
    const std::string left = " and " + std::to_string(group.size() - i) + " more";
    const size_t after = i + 1 < group.size() ? display_width(left) : 0;
    if (display_width(line) + display_width(next) + after > columns)
      return display_width(line + left) <= columns ? line + left : count;
    line += next;
  }
  return line;
}

bool waits_longer(const StackThread& a, const StackThread& b) {
  return a.age.blocked_ns.value_or(0) > b.age.blocked_ns.value_or(0);
}

std::string identity_of(const StackThread& thread) {
  if (!thread.wait) return thread.state;
  Wait wait = *thread.wait;  // what is left of a timeout differs from thread to thread
  wait.timeout_left_ns.reset();
  return thread.state + " " + wait_text_long(wait);
}

// Where they began, where that is known of all of them and one and the same.
std::string started_text(const Group& group) {
  if (!group[0]->routine) return "";
  const bool same = std::ranges::all_of(
      group, [&](const StackThread* thread) { return thread->routine == group[0]->routine; });
  return same ? "started as " + routine_text(*group[0]->routine) : "";
}

// What they do: a line for each different wait, the longest of each.
void add_doing(std::vector<std::string>& lines, const Group& group) {
  std::map<std::string, Group> waits;
  for (const StackThread* thread : group) waits[identity_of(*thread)].push_back(thread);
  std::vector<Group> order;
  order.reserve(waits.size());
  for (auto& [identity, threads] : waits) order.push_back(std::move(threads));
  std::ranges::stable_sort(order, std::ranges::greater(), &Group::size);
  for (size_t i = 0; i < order.size() && i < kToldWaits; ++i) {
    const StackThread& longest = **std::ranges::min_element(
        order[i], [](const StackThread* a, const StackThread* b) { return waits_longer(*a, *b); });
    const size_t count = order[i].size();
    const bool several = order.size() > 1 || count > 1;
    std::string line = "  " + (several ? std::to_string(count) + " " : "") + doing_text(longest);
    if (count > 1 && longest.age.blocked_ns) line += " (the longest)";
    lines.push_back(line);
  }
  if (order.size() > kToldWaits)
    lines.push_back("  and " + std::to_string(order.size() - kToldWaits) + " different waits more");
}

}  // namespace

bool is_of_libraries(const StackFrame& frame) {
  constexpr auto kLibraries = std::to_array<std::string_view>(
      {"libc.so", "libc-", "libpthread", "ld-linux", "ld-musl", "libstdc++", "linux-vdso", "[vdso]"});
  const std::string_view module = frame.module ? base_name(*frame.module) : std::string_view();
  return std::ranges::any_of(kLibraries, [&](auto word) { return module.starts_with(word); });
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos || slash + 1 == path.size() ? path : path.substr(slash + 1);
}

std::string frame_text(const StackFrame& frame) {
  const std::string module = frame.module ? escape_for_terminal(base_name(*frame.module)) : std::string();
  std::string text;
  if (frame.symbol && !frame.symbol->empty()) {
    text = escape_for_terminal(*frame.symbol);
    if (frame.file)
      text += " at " + escape_for_terminal(*frame.file) +
              (frame.line ? ":" + std::to_string(*frame.line) : std::string());
    else if (!module.empty())
      text += " in " + module;
  } else if (!module.empty()) {
    text = module + (frame.offset ? "+" + hexadecimal(*frame.offset) : "");
  } else {
    text = frame.offset ? "?? at " + hexadecimal(*frame.offset) : "??";
  }
  return text + (frame.inlined ? " (inlined)" : "");
}

std::vector<std::string> frame_lines(const StackThread& thread) {
  std::vector<std::string> lines;
  const size_t digits = std::to_string(thread.frames.size()).size();
  for (size_t i = 0; i < thread.frames.size(); ++i)
    lines.push_back(fit_columns("#" + std::to_string(i), digits + 2) + frame_text(thread.frames[i]));
  if (thread.cut)
    lines.push_back((thread.frames.empty() ? "no stack: " : "… cut: ") + escape_for_terminal(*thread.cut));
  else if (thread.frames.empty())
    lines.emplace_back("no stack");
  if (thread.kernel_frames)
    for (const std::string& frame : *thread.kernel_frames)
      lines.push_back("kernel  " + escape_for_terminal(frame));
  return lines;
}

std::string doing_text(const StackThread& thread) {
  std::string text = thread.state.empty() ? "state not known" : escape_for_terminal(thread.state);
  if (const std::string age = format_age(thread.age, true); !age.empty())
    text += " " + (age == "?" ? "for how long is not known" : age);
  if (thread.wait) text += ", " + wait_text_long(*thread.wait);
  return text;
}

std::vector<std::string> stacks_lines(const Stacks& stacks, size_t columns) {
  const size_t count = stacks.threads.size();
  std::string heading = std::to_string(stacks.process.pid) + " " + escape_for_terminal(stacks.process.comm);
  if (!stacks.process.exe.empty()) heading += "  " + escape_for_terminal(stacks.process.exe);
  std::vector<std::string> lines{heading + "  " + std::to_string(count) +
                                 (count == 1 ? " thread" : " threads")};
  for (const Group& group : grouped(stacks.threads)) {
    lines.emplace_back("");
    lines.push_back(who_line(group, columns));
    add_doing(lines, group);
    if (const std::string started = started_text(group); !started.empty()) lines.push_back("  " + started);
    for (const std::string& line : frame_lines(*group[0])) lines.push_back("  " + line);
  }
  return lines;
}

size_t first_own_frame(const std::vector<StackFrame>& frames) {
  // For programs linked statically, where all of it is one module.
  constexpr auto kFunctions = std::to_array<std::string_view>({"__lll_",
                                                               "__futex_",
                                                               "futex_",
                                                               "__GI_",
                                                               "___pthread_",
                                                               "__pthread_",
                                                               "pthread_",
                                                               "syscall",
                                                               "__syscall",
                                                               "__internal_syscall",
                                                               "std::condition_variable",
                                                               "std::mutex::",
                                                               "std::unique_lock<",
                                                               "std::lock_guard<",
                                                               "__gthread_",
                                                               "std::thread::join",
                                                               "clock_nanosleep",
                                                               "__clock_nanosleep",
                                                               "nanosleep",
                                                               "__nanosleep",
                                                               "epoll_wait",
                                                               "__poll",
                                                               "__read",
                                                               "__write"});
  auto of_waiting = [&](const StackFrame& frame) {
    const std::string_view symbol = frame.symbol ? std::string_view(*frame.symbol) : std::string_view();
    return is_of_libraries(frame) ||
           std::ranges::any_of(kFunctions, [&](auto word) { return symbol.starts_with(word); });
  };
  const auto own = std::ranges::find_if_not(frames, of_waiting);
  return own == frames.end() ? 0 : static_cast<size_t>(own - frames.begin());
}

size_t end_of_own_frames(const std::vector<StackFrame>& frames) {
  // Without symbols, _start below it has no name.
  const auto start = std::ranges::find_if(frames, [](const StackFrame& frame) {
    return frame.symbol && frame.symbol->starts_with("__libc_start");
  });
  size_t end = static_cast<size_t>(start - frames.begin());
  while (end > 0 && (is_of_libraries(frames[end - 1]) || frames[end - 1].symbol == "_start")) --end;
  return end > first_own_frame(frames) ? end : frames.size();
}

}  // namespace loiter::cli
