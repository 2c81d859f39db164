#include "daemon/model/pthread_book.h"

#include <algorithm>
#include <deque>
#include <utility>

namespace loiter {
namespace {

constexpr uint64_t kCloneThread = 0x00010000;  // CLONE_THREAD (include/uapi/linux/sched.h)

// The kernel tells joiners of the end of a thread a little before the tracepoint tells us (do_exit() in
// kernel/exit.c: exit_mm() comes first), and may let the joiner run in between. A join that returned so
// shortly before the end was of it, or may have been.
constexpr uint64_t kEndSlackNs = 1'000'000'000;

// musl's pthread_join is its pthread_timedjoin_np without a limit (src/thread/pthread_join.c): both are seen.
bool may_fail(const Event& event) {
  return event.call == LOITER_PTHREAD_TRY_JOIN ||
         ((event.call == LOITER_PTHREAD_TIMED_JOIN || event.call == LOITER_PTHREAD_CLOCK_JOIN) && event.arg);
}

// Calls of one thread that wait for their births: each has at most one.
constexpr size_t kMostCalls = 1024;

}  // namespace

const char* to_string(ProbedFate fate) {
  switch (fate) {
    case ProbedFate::live:
      return "live";
    case ProbedFate::joined:
      return "joined";
    case ProbedFate::detached:
      return "detached";
    case ProbedFate::unjoined:
      return "unjoined";
    case ProbedFate::undecided:
      return "undecided";
  }
  return "undecided";
}

ProbedFate Pthread::fate() const {
  if (!ended_boot_ns) return ProbedFate::live;
  if (detached_at_birth == LOITER_DETACHED || detached_boot_ns) return ProbedFate::detached;
  if (joined_boot_ns) return join_may_fail ? ProbedFate::undecided : ProbedFate::joined;
  return detached_at_birth == LOITER_JOINABLE ? ProbedFate::unjoined : ProbedFate::undecided;
}

struct PthreadBook::Process {
  TaskKey key;
  uint32_t exec_id = 0;
  uint64_t since_boot_ns = 0;
  uint64_t created = 0, joined = 0, detached = 0, undecided = 0, forgotten = 0;
  std::unordered_map<uint32_t, std::deque<Event>>
      creating;                                    // by tid: a pthread_create whose birth is to come
  std::unordered_map<uint64_t, Pthread> threads;   // by pthread_t: live, unjoined or undecided
  std::unordered_map<uint32_t, uint64_t> ids;      // pthread_t by tid, of live ones
  std::unordered_map<uint32_t, uint64_t> joining;  // by the joiner's tid: the pthread_t in its last join
  std::vector<Pthread> settled;                    // oldest first
  std::shared_ptr<const PthreadsView> view;        // null: something changed
};

PthreadBook::PthreadBook() : PthreadBook(Limits()) {}

PthreadBook::PthreadBook(const Limits& limits, bool host_wide) : limits_(limits), host_wide_(host_wide) {}

PthreadBook::~PthreadBook() = default;

void PthreadBook::watch(const TaskKey& process, uint64_t since_boot_ns) {
  auto found = processes_.find(process.tid);
  if (found != processes_.end()) {
    // Host-wide, a process may be known by a thread that is not its leader.
    if (found->second.key.start_boot_ns == 0) found->second.key = process;
    if (found->second.key == process) return;
    clear(found->second, since_boot_ns);
  } else if (processes_.size() >= limits_.processes) {
    return;
  }
  Process& entry = processes_[process.tid];
  entry.key = process;
  entry.since_boot_ns = since_boot_ns;
  entry.view.reset();
}

void PthreadBook::unwatch(const TaskKey& process) {
  auto found = processes_.find(process.tid);
  if (found == processes_.end() || !(found->second.key == process)) return;
  kept_ -= found->second.threads.size();
  processes_.erase(found);
}

void PthreadBook::clear(Process& process, uint64_t since_boot_ns) {
  kept_ -= process.threads.size();
  Process fresh;
  fresh.key = process.key;
  fresh.since_boot_ns = since_boot_ns;
  process = std::move(fresh);
}

PthreadBook::Process* PthreadBook::process_of(const loiter_task_id& task) {
  auto found = processes_.find(task.tgid);
  if (found == processes_.end()) return nullptr;
  // No thread is older than its process: an earlier one by that pid may be meant.
  return task.start_boot_ns < found->second.key.start_boot_ns ? nullptr : &found->second;
}

void PthreadBook::apply(const Event& event) {
  switch (event.type) {
    case LOITER_EVENT_BIRTH:
      return on_birth(event);
    case LOITER_EVENT_EXEC:
      return on_exec(event);
    case LOITER_EVENT_EXIT:
      return on_exit(event);
    case LOITER_EVENT_PTHREAD:
      if (host_wide_ && !processes_.contains(event.task.tgid)) {
        const bool leader = event.task.tid == event.task.tgid;
        watch({event.task.tgid, leader ? event.task.start_boot_ns : 0}, event.boot_ns);
      }
      if (Process* process = process_of(event.task)) on_call(*process, event);
      return;
    case LOITER_EVENT_RENAME:
      return;
  }
}

void PthreadBook::on_call(Process& process, const Event& event) {
  if (event.boot_ns < process.since_boot_ns) return;
  note_return(process, event);
  switch (event.call) {
    case LOITER_PTHREAD_CREATE: {
      std::deque<Event>& calls = process.creating[event.task.tid];
      calls.push_back(event);
      if (calls.size() > kMostCalls) calls.pop_front();
      return;
    }
    case LOITER_PTHREAD_DETACH:
      return on_detach(process, event);
    case LOITER_PTHREAD_JOIN:
    case LOITER_PTHREAD_C11_JOIN:
    case LOITER_PTHREAD_TRY_JOIN:
    case LOITER_PTHREAD_TIMED_JOIN:
    case LOITER_PTHREAD_CLOCK_JOIN:
      return on_join(process, event);
    case LOITER_PTHREAD_EXIT:
    case LOITER_PTHREAD_CALL_COUNT:
      return;
  }
}

// Who calls something, or ends, is no longer in the join that it called before.
void PthreadBook::note_return(Process& process, const Event& event) {
  auto joining = process.joining.find(event.task.tid);
  if (joining == process.joining.end()) return;
  auto found = process.threads.find(joining->second);
  process.joining.erase(joining);
  if (found == process.threads.end() || !(found->second.joiner == key_of(event.task))) return;
  Pthread& thread = found->second;
  if (!thread.ended_boot_ns && !thread.join_returned_boot_ns) thread.join_returned_boot_ns = event.boot_ns;
}

void PthreadBook::drop(Process& process, uint64_t id) {
  kept_ -= process.threads.erase(id);
  process.view.reset();
}

// Who had the pthread_t of a new thread before is gone: its memory is given to another only after a join or a
// detach.
void PthreadBook::replace(Process& process, const Event& birth) {
  auto old = process.threads.find(birth.tls_base);
  if (old == process.threads.end()) return;
  Pthread& gone = old->second;
  if (!gone.ended_boot_ns) gone.ended_boot_ns = birth.boot_ns;  // the event was lost
  if (gone.fate() == ProbedFate::unjoined || gone.fate() == ProbedFate::undecided) {
    gone.detached_at_birth = LOITER_JOINABLE;
    gone.join_may_fail = false;
    if (!gone.joined_boot_ns) gone.joined_boot_ns = birth.boot_ns;
  }
  settle(process, gone);
  drop(process, birth.tls_base);
}

// The last call of its creator before the birth; those before that one came to nothing. Later ones may be
// known already: calls and births come by two rings.
std::optional<Event> PthreadBook::take_call(Process& process, const Event& birth) {
  auto calls = process.creating.find(birth.creator.tid);
  if (calls == process.creating.end()) return std::nullopt;
  std::optional<Event> call;
  while (!calls->second.empty() && calls->second.front().boot_ns <= birth.boot_ns) {
    call = std::move(calls->second.front());
    calls->second.pop_front();
  }
  if (calls->second.empty()) process.creating.erase(calls);
  return call;
}

// A thread of the library is born right after the call of its creator. One made without the library, by clone
// alone, has no such call before it.
void PthreadBook::on_birth(const Event& event) {
  if (!(event.clone_flags & kCloneThread)) return;
  Process* process = process_of(event.task);
  if (!process || event.boot_ns < process->since_boot_ns) return;
  replace(*process, event);
  const std::optional<Event> call = take_call(*process, event);
  if (!call) return;
  process->view.reset();
  ++process->created;
  if (kept_ < limits_.threads) {
    Pthread& thread = process->threads[event.tls_base];
    ++kept_;
    thread.id = event.tls_base;
    thread.task = key_of(event.task);
    thread.creator = key_of(event.creator);
    thread.routine = call->routine;
    thread.arg = call->arg;
    thread.created_boot_ns = call->boot_ns;
    thread.detached_at_birth = call->detached;
    process->ids[event.task.tid] = event.tls_base;
  } else {
    ++process->forgotten;
  }
}

// A program that is executed has no threads but one.
void PthreadBook::on_exec(const Event& event) {
  if (Process* process = process_of(event.task)) clear(*process, event.boot_ns);
}

void PthreadBook::on_exit(const Event& event) {
  Process* process = process_of(event.task);
  if (!process) return;
  process->creating.erase(event.task.tid);
  note_return(*process, event);
  auto id = process->ids.find(event.task.tid);
  if (id == process->ids.end()) return;
  auto found = process->threads.find(id->second);
  process->ids.erase(id);
  if (found != process->threads.end() && found->second.task == key_of(event.task))
    end(*process, found->second, event.boot_ns);
}

void PthreadBook::end(Process& process, Pthread& thread, uint64_t boot_ns) {
  process.view.reset();
  thread.ended_boot_ns = boot_ns;
  // A join that returned long before joined nobody: it was cancelled, refused, or ran out of time.
  if (thread.join_returned_boot_ns && boot_ns > *thread.join_returned_boot_ns + kEndSlackNs)
    thread.joined_boot_ns.reset();
  if (thread.fate() == ProbedFate::unjoined || thread.fate() == ProbedFate::undecided) return;
  settle(process, thread);
  drop(process, thread.id);
}

void PthreadBook::on_join(Process& process, const Event& event) {
  auto found = process.threads.find(event.thread);
  if (found == process.threads.end() || event.thread == event.tls_base) return;  // itself: EDEADLK
  Pthread& thread = found->second;
  const bool ended = thread.ended_boot_ns.has_value();
  const bool is_waited_for = thread.joined_boot_ns && !thread.join_returned_boot_ns;
  if (!ended && is_waited_for && !thread.join_may_fail) return;  // by another already: EINVAL
  process.view.reset();
  process.joining[event.task.tid] = thread.id;
  thread.joined_boot_ns = event.boot_ns;
  thread.joiner = key_of(event.task);
  thread.join_may_fail = !ended && may_fail(event);
  thread.join_returned_boot_ns.reset();
  // One that does not wait is over; it joined only whoever ended at that very moment.
  if (!ended && event.call == LOITER_PTHREAD_TRY_JOIN) thread.join_returned_boot_ns = event.boot_ns;
  if (!ended) return;
  thread.detached_at_birth = LOITER_JOINABLE;  // who joins it knows
  settle(process, thread);
  drop(process, thread.id);
}

void PthreadBook::on_detach(Process& process, const Event& event) {
  auto found = process.threads.find(event.thread);
  if (found == process.threads.end()) return;
  process.view.reset();
  Pthread& thread = found->second;
  thread.detached_boot_ns = event.boot_ns;
  if (!thread.ended_boot_ns) return;
  settle(process, thread);
  drop(process, thread.id);
}

// Counts a thread that ended in good order, and keeps it for a while.
void PthreadBook::settle(Process& process, const Pthread& thread) {
  if (thread.fate() == ProbedFate::joined)
    ++process.joined;
  else if (thread.fate() == ProbedFate::detached)
    ++process.detached;
  if (limits_.settled == 0) return;
  if (process.settled.size() >= limits_.settled) process.settled.erase(process.settled.begin());
  process.settled.push_back(thread);
}

void PthreadBook::expire(const Snapshot& snapshot) {
  for (auto at = processes_.begin(); at != processes_.end();) {
    const ProcessView* process = snapshot.find(at->first);
    const bool another = process && process->key.start_boot_ns && at->second.key.start_boot_ns &&
                         !(process->key == at->second.key);
    if (process && !process->ended_boot_ns && !another) {
      ++at;
      continue;
    }
    kept_ -= at->second.threads.size();
    at = processes_.erase(at);
  }
}

PthreadBook::Views PthreadBook::publish() {
  Views views;
  for (auto& [pid, process] : processes_) {
    if (!process.view) {
      auto view = std::make_shared<PthreadsView>();
      view->process = process.key;
      view->since_boot_ns = process.since_boot_ns;
      view->created = process.created;
      view->joined = process.joined;
      view->detached = process.detached;
      view->forgotten = process.forgotten;
      view->settled = process.settled;
      for (const auto& [id, thread] : process.threads) {
        const ProbedFate fate = thread.fate();
        view->undecided += fate == ProbedFate::undecided;
        if (fate == ProbedFate::live) view->live.push_back(thread);
        if (fate == ProbedFate::unjoined) view->unjoined.push_back(thread);
      }
      std::sort(view->live.begin(), view->live.end(),
                [](const Pthread& a, const Pthread& b) { return a.created_boot_ns < b.created_boot_ns; });
      std::sort(view->unjoined.begin(), view->unjoined.end(),
                [](const Pthread& a, const Pthread& b) { return *a.ended_boot_ns < *b.ended_boot_ns; });
      process.view = std::move(view);
    }
    views[pid] = process.view;
  }
  return views;
}

}  // namespace loiter
