#include "cli/columns.h"

#include <array>
#include <cstdio>
#include <type_traits>

#include "cli/wait_text.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using Order = std::weak_ordering;

std::string decimal(double value) {
  std::array<char, 32> buffer;
  const int length = snprintf(buffer.data(), buffer.size(), "%.1f", value);
  return {buffer.data(), std::min(static_cast<size_t>(length), buffer.size() - 1)};
}

Order compare_numbers(double a, double b) {
  return a < b ? Order::less : a > b ? Order::greater : Order::equivalent;
}

// What is not known is less than anything known.
Order compare_ages(const Age& a, const Age& b) {
  return a.blocked_ns <=> b.blocked_ns;
}

template <auto Member, typename Row>
std::string number(const Row& row) {
  return std::to_string(row.*Member);
}
template <auto Member, typename Row>
std::string escaped(const Row& row) {
  return escape_for_terminal(row.*Member);
}
template <auto Member, typename Row>
std::string rate(const Row& row) {
  return decimal(row.*Member);
}
template <auto Member, typename Row>
std::string length(const Row& row) {
  return format_duration(row.*Member);
}
template <auto Member, typename Row>
Order by(const Row& a, const Row& b) {
  if constexpr (std::is_same_v<decltype(Member), double Row::*>)
    return compare_numbers(a.*Member, b.*Member);
  else
    return a.*Member <=> b.*Member;
}

// --- of the thread of a process that has been blocked for longest ----------------------------------

Age oldest_age(const ProcessRow& row) {
  return row.oldest_blocked ? row.oldest_blocked->age : Age{};
}
std::string oldest_syscall(const ProcessRow& row) {
  return row.oldest_blocked && row.oldest_blocked->syscall ? escape_for_terminal(*row.oldest_blocked->syscall)
                                                           : "";
}
std::string oldest_state(const ProcessRow& row) {
  return row.oldest_blocked ? escape_for_terminal(row.oldest_blocked->state) : "";
}
std::string oldest_text(const ProcessRow& row) {
  return row.oldest_blocked ? format_age(row.oldest_blocked->age) : "";
}

// What a thread waits for, in words; of a daemon that does not tell, the system call that it is in.
std::string wait_of(const ThreadRow& row) {
  return row.wait ? wait_text(*row.wait) : escape_for_terminal(row.syscall.value_or(""));
}
std::string wait_within(const ThreadRow& row, size_t columns) {
  return row.wait ? wait_text_within(*row.wait, columns) : wait_of(row);
}

template <typename Row>
std::string mark_of(const Row& row) {
  return row.finding ? escape_for_terminal(row.finding->kind) : "";
}

// The worst is the greatest; among equals the first by name is, since the greatest come first.
template <typename Row>
Order compare_marks(const Row& a, const Row& b) {
  const auto weight = [](const Row& row) {
    return row.finding ? severity_weight(row.finding->severity) : -1;
  };
  if (weight(a) != weight(b)) return weight(a) <=> weight(b);
  return mark_of(b) <=> mark_of(a);
}

// What a person calls the place a process belongs to, best first.
std::string home(const ProcessRow& row) {
  return escape_for_terminal(row.unit ? *row.unit : row.container ? *row.container : row.cgroup);
}

using P = ProcessRow;
constexpr std::array kProcessColumns = std::to_array<ProcessColumn>({
    {"pid", "PID", "process", 7, 7, true, false, number<&P::pid>, by<&P::pid>},
    {"comm", "COMM", "name of its leader", 12, 15, false, false, escaped<&P::comm>, by<&P::comm>},
    {"threads", "THREADS", "live threads", 7, 7, true, true, number<&P::thread_count>, by<&P::thread_count>},
    {"blocked", "BLOCKED", "of them blocked", 7, 7, true, true, number<&P::blocked>, by<&P::blocked>},
    {"overdue", "OVERDUE", "of them blocked past the threshold", 7, 7, true, true, number<&P::overdue>,
     by<&P::overdue>},
    {"oldest", "OLDEST", "for how long the longest blocked thread has been", 9, 9, true, true, oldest_text,
     [](const P& a, const P& b) { return compare_ages(oldest_age(a), oldest_age(b)); }},
    {"finding", "FINDING", "the worst finding about it", 10, 10, false, true, mark_of<P>, compare_marks<P>},
    {"cpu", "CPU%", "CPU time of late; 100 is one CPU", 6, 6, true, true, rate<&P::cpu_percent>,
     by<&P::cpu_percent>},
    {"syscall", "SYSCALL", "the system call which that thread is in", 11, 20, false, false, oldest_syscall,
     [](const P& a, const P& b) -> Order { return oldest_syscall(a) <=> oldest_syscall(b); }},
    {"unit", "UNIT", "systemd unit, else container, else cgroup", 12, 40, false, false, home,
     [](const P& a, const P& b) -> Order { return home(a) <=> home(b); }},
    {"state", "STATE", "state of the longest blocked thread", 8, 15, false, false, oldest_state,
     [](const P& a, const P& b) -> Order { return oldest_state(a) <=> oldest_state(b); }},
    {"running", "RUN", "threads on a CPU or waiting for one", 5, 5, true, true,
     [](const P& row) { return std::to_string(row.running + row.runnable); },
     [](const P& a, const P& b) -> Order { return a.running + a.runnable <=> b.running + b.runnable; }},
    {"born", "BORN/S", "threads born a second", 7, 7, true, true, rate<&P::born_per_s>, by<&P::born_per_s>},
    {"ended", "ENDED/S", "threads ended a second", 7, 7, true, true, rate<&P::ended_per_s>,
     by<&P::ended_per_s>},
    {"time", "CPU-TIME", "CPU time since its start", 8, 8, true, true, length<&P::cpu_ns>, by<&P::cpu_ns>},
    {"ppid", "PPID", "parent process", 7, 7, true, false, number<&P::parent_pid>, by<&P::parent_pid>},
    {"uid", "UID", "user", 6, 6, true, false, number<&P::uid>, by<&P::uid>},
    {"exe", "EXE", "path of the program", 12, 60, false, false, escaped<&P::exe>, by<&P::exe>},
});

using T = ThreadRow;
constexpr std::array kThreadColumns = std::to_array<ThreadColumn>({
    {"tid", "TID", "thread", 7, 7, true, false, number<&T::tid>, by<&T::tid>},
    {"name", "NAME", "its own name", 15, 40, false, false, escaped<&T::name>, by<&T::name>},
    {"state", "STATE", "what it does", 8, 15, false, false, escaped<&T::state>, by<&T::state>},
    {"blocked", "BLOCKED", "for how long it has been blocked", 9, 9, true, true,
     [](const T& row) { return format_age(row.age); },
     [](const T& a, const T& b) { return compare_ages(a.age, b.age); }},
    // A mark and not a word, so that what was found and what it waits for both have room in 80 columns.
    {"overdue", "!", "blocked past the threshold", 1, 1, false, true,
     [](const T& row) -> std::string { return row.overdue ? "!" : ""; }, by<&T::overdue>},
    {"finding", "FINDING", "the worst finding about it", 8, 10, false, true, mark_of<T>, compare_marks<T>},
    {"wait", "WAIT", "what it waits for, and who holds that", 20, 60, false, false, wait_of,
     [](const T& a, const T& b) -> Order { return wait_of(a) <=> wait_of(b); }, wait_within},
    {"syscall", "SYSCALL", "the system call that it is in", 11, 20, false, false,
     [](const T& row) { return escape_for_terminal(row.syscall.value_or("")); },
     [](const T& a, const T& b) -> Order { return a.syscall <=> b.syscall; }},
    {"time", "CPU-TIME", "CPU time since its birth", 8, 8, true, true, length<&T::cpu_ns>, by<&T::cpu_ns>},
    {"lived", "LIVED", "time since its birth", 8, 8, true, true, length<&T::lived_ns>, by<&T::lived_ns>},
    {"creator", "CREATOR", "thread that created it; (…): ended; ?: not known", 9, 9, true, false,
     [](const T& row) {
       if (!row.parent_tid) return std::string("?");
       const std::string tid = std::to_string(*row.parent_tid);
       return row.parent_alive ? tid : "(" + tid + ")";
     },
     [](const T& a, const T& b) -> Order { return a.parent_tid <=> b.parent_tid; }},
    {"vcsw", "VCSW", "voluntary context switches", 8, 8, true, true, number<&T::voluntary_switches>,
     by<&T::voluntary_switches>},
    {"ivcsw", "IVCSW", "involuntary context switches", 8, 8, true, true, number<&T::involuntary_switches>,
     by<&T::involuntary_switches>},
    {"cpu", "CPU", "the CPU that it ran on last", 3, 3, true, false, number<&T::cpu>, by<&T::cpu>},
});

}  // namespace

std::span<const ProcessColumn> process_columns() {
  return kProcessColumns;
}

std::span<const ThreadColumn> thread_columns() {
  return kThreadColumns;
}

uint32_t row_id(const ProcessRow& row) {
  return row.pid;
}

uint32_t row_id(const ThreadRow& row) {
  return row.tid;
}

}  // namespace loiter::cli
