// Reads the event plane: births, execs, ends and renames of threads (bpf/lifecycle.bpf.c).
//
// Owned and called by the collector thread. Needs CAP_BPF and CAP_PERFMON when it opens; draining needs none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf/records.h"
#include "daemon/base/result.h"
#include "daemon/sensors/bpf.h"
#include "daemon/sensors/event_ring.h"
#include "daemon/sensors/slices.h"

struct lifecycle_bpf;

namespace loiter {

// One record of the ring, with what its type has. Values: the ring's memory is not kept.
struct Event {
  loiter_event_type type{};
  uint64_t boot_ns = 0;
  loiter_task_id task{};
  std::string name;  // birth: inherited; exec, rename: the new one

  loiter_task_id creator{};  // birth
  uint64_t clone_flags = 0;  // birth
  uint32_t parent_tgid = 0;  // birth
  uint32_t task_flags = 0;   // birth: PF_*
  uint64_t tls_base = 0;     // birth; pthread
  // Birth. With LOITER_SLICE_TAKEN whoever drained it has a slot to give back: EventReader::slices().
  loiter_slice_state slice_state = LOITER_SLICE_OFF;
  uint32_t slice = 0;

  uint32_t old_tid = 0;  // exec
  std::string filename;  // exec

  // Of a call of the thread library; `tls_base` is the caller's.
  loiter_pthread_call call{};
  uint64_t thread = 0;         // join, detach: the pthread_t
  uint64_t routine = 0;        // create
  uint64_t arg = 0;            // create, exit; join: 0: without a time limit
  loiter_detached detached{};  // create

  uint64_t cpu_ns = 0;     // exit
  uint32_t exit_code = 0;  // exit: as wait4 tells it
};

// Makes an Event of a record's bytes; false when they are none.
bool decode_event(const void* data, size_t size, Event& event);

class EventReader {
 public:
  enum class Tracepoints { automatic, btf, raw };
  struct Options {
    uint32_t ring_size = 2 * 1024 * 1024;  // bytes: a power of two, a page or more
    Tracepoints tracepoints = Tracepoints::automatic;
    bool kernel_threads = false;
  };

  static Result<std::unique_ptr<EventReader>> open(const Options& options);
  ~EventReader();

  // Appends what has come, in the order of the ring: nearly, not exactly, that of time.
  void drain(std::vector<Event>& events);

  // Besides the counters of the programs: runs the kernel left out since the program was already running
  // on that CPU ("recursion_misses"), and records that could not be read.
  std::vector<LossCount> losses() const;
  std::vector<BpfMapSize> maps() const;
  bool uses_btf() const { return uses_btf_; }
  // Of the creators' stacks; null: this kernel does not take them.
  const std::shared_ptr<Slices>& slices() const { return slices_; }

 private:
  EventReader() = default;
  struct Variant {
    bool btf;
    bool slices;
  };
  static Status attach(EventReader& reader, const Options& options, Variant variant);
  struct Destroy {
    void operator()(lifecycle_bpf* skeleton) const;
  };

  std::unique_ptr<lifecycle_bpf, Destroy> skeleton_;
  std::unique_ptr<EventRing> ring_;
  std::shared_ptr<Slices> slices_;
  bool uses_btf_ = false;
};

}  // namespace loiter
