// What became of the threads of thread libraries, by the calls that were seen at uprobes: who made which with
// what, who joined or detached it, and which ended with nobody to join them.
//
// Owned by the collector's thread. Entirely passive: no clock, no file. Knows only processes whose calls it
// was told of; of those, only threads that were made since. A thread that ended otherwise is for glibc's own
// lists (daemon/inspect).
//
// Only entries of functions are seen, never their results (DESIGN.md section 2): births, ends and the use of
// a pthread_t for another thread tell what came of a call. Where they do not, it is said: `undecided`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "daemon/model/ended_log.h"
#include "daemon/model/snapshot.h"
#include "daemon/sensors/event_reader.h"

namespace loiter {

enum class ProbedFate : uint8_t {
  live,       // it has not ended
  joined,     // somebody waited for it, or found it ended
  detached,   // nobody has to
  unjoined,   // it ended, and nobody joined or detached it
  undecided,  // it ended while a join that may have run out of time was under way; or how it was made is not
              // known
};
const char* to_string(ProbedFate fate);

struct Pthread {
  uint64_t id = 0;  // pthread_t
  TaskKey task;
  TaskKey creator;
  uint64_t routine = 0;
  uint64_t arg = 0;
  uint64_t created_boot_ns = 0;
  loiter_detached detached_at_birth = LOITER_JOINABLE;
  std::optional<uint64_t> detached_boot_ns;  // when pthread_detach was called
  std::optional<uint64_t> joined_boot_ns;    // when the call that joined it began
  TaskKey joiner;
  bool join_may_fail = false;  // it was a join with a time limit, or one that does not wait
  // The joiner was seen elsewhere, or ended, while this one still lived: the join had returned by then.
  std::optional<uint64_t> join_returned_boot_ns;
  std::optional<uint64_t> ended_boot_ns;

  ProbedFate fate() const;
};

// A process whose calls are seen, at one moment. Immutable.
struct PthreadsView {
  TaskKey process;
  uint64_t since_boot_ns = 0;  // threads made since are known
  uint64_t created = 0;        // since then
  uint64_t joined = 0;
  uint64_t detached = 0;  // of those that ended
  uint64_t undecided = 0;
  uint64_t forgotten = 0;         // threads not kept, to stay within bounds
  std::vector<Pthread> live;      // by birth
  std::vector<Pthread> unjoined;  // by end
  std::vector<Pthread> settled;   // joined or detached and ended, the last few; by end
};

class PthreadBook {
 public:
  struct Limits {
    size_t processes = 4096;
    size_t threads = 262'144;  // live and unjoined, of all processes
    size_t settled = 256;      // of each process
  };
  PthreadBook();
  // `host_wide`: every process counts as watched from the first call on that is told of it.
  explicit PthreadBook(const Limits& limits, bool host_wide = false);
  ~PthreadBook();

  // From `since_boot_ns` on all calls of this process are told. Once more while it is watched: changes
  // nothing.
  void watch(const TaskKey& process, uint64_t since_boot_ns);
  void unwatch(const TaskKey& process);

  // Births, execs and exits of all threads, and calls; ascending in time.
  void apply(const Event& event);

  // Forgets processes that are not in the snapshot any more.
  void expire(const Snapshot& snapshot);

  // By pid. Shared with the call before where nothing changed.
  using Views = std::map<uint32_t, std::shared_ptr<const PthreadsView>>;
  Views publish();

 private:
  struct Process;
  Process* process_of(const loiter_task_id& task);
  void on_call(Process& process, const Event& event);
  void on_create(Process& process, const Event& event);
  void on_join(Process& process, const Event& event);
  void on_detach(Process& process, const Event& event);
  static std::optional<Event> take_call(Process& process, const Event& birth);
  void on_birth(const Event& event);
  void on_exec(const Event& event);
  void on_exit(const Event& event);
  void note_return(Process& process, const Event& event);
  void end(Process& process, Pthread& thread, uint64_t boot_ns);
  void settle(Process& process, const Pthread& thread);
  void replace(Process& process, const Event& birth);
  void drop(Process& process, uint64_t id);
  void clear(Process& process, uint64_t since_boot_ns);

  Limits limits_;
  bool host_wide_ = false;
  size_t kept_ = 0;                                  // threads in all
  std::unordered_map<uint32_t, Process> processes_;  // by pid
};

}  // namespace loiter
