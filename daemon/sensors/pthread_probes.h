// Entry probes on the functions of thread libraries (bpf/pthreads.bpf.c): places them, and reads what they
// tell.
//
// place() and the end of a Link may come from any thread, and take milliseconds: the kernel waits until no
// CPU is in a handler any more. drain() is for the collector's thread alone. Needs CAP_BPF and CAP_PERFMON,
// and before Linux 6.10 what daemon/sensors/uprobe_events.h does.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "bpf/records.h"
#include "daemon/base/result.h"
#include "daemon/sensors/bpf.h"
#include "daemon/sensors/event_reader.h"
#include "daemon/sensors/event_ring.h"

struct bpf_program;
struct pthreads_bpf;

namespace loiter {

class UprobeEvents;

// A function's entry in a file that processes map.
struct ProbePlace {
  loiter_pthread_call call{};
  uint64_t file_offset = 0;  // of the function's first instruction
};

enum class UprobeMode : uint8_t {
  none,
  attached,  // in processes that somebody asked for
  all        // in every process of the host
};
const char* to_string(UprobeMode mode);

// How they are placed.
enum class UprobeWay : uint8_t {
  automatic,  // by the first of these that is right here
  multi,      // all of a library by one link of uprobe.multi
  tracefs     // each by a name in tracefs
};
const char* to_string(UprobeWay way);

// Which probes are in place, and which could not be placed.
struct UprobeStatus {
  struct Failure {
    uint32_t pid = 0;      // the last one that it was of
    std::string path;      // of the library: bytes; empty: none was found
    std::string function;  // empty: all of them
    std::string reason;
    uint64_t count = 0;
  };
  UprobeMode mode = UprobeMode::attached;
  UprobeWay way = UprobeWay::automatic;  // this: not yet decided
  uint64_t placed = 0;
  uint64_t libraries = 0;           // that have them for all processes
  std::vector<uint32_t> processes;  // that have them for themselves
  uint64_t failed = 0;
  std::vector<Failure> failures;  // each kind once, bounded
  uint64_t names_left = 0;        // UprobeEvents::left()
  std::vector<BpfMapSize> maps;   // none before the first was placed
};

// What a hit costs the thread that makes it, by the way that is right here.
struct UprobeCost {
  uint64_t hit_ns = 0;
  UprobeWay way = UprobeWay::automatic;
};

// What came of placing probes in one process.
struct ProbeNote {
  uint32_t pid = 0;
  uint64_t boot_ns = 0;             // from now on its calls are told
  std::vector<std::string> placed;  // functions; empty also where they were in place before
  std::vector<UprobeStatus::Failure> failed;
};

// The function that a call is of. `call` is below LOITER_PTHREAD_CALL_COUNT.
const char* function_of(loiter_pthread_call call);

class PthreadProbes {
 public:
  struct Options {
    uint32_t ring_size = 1 << 20;  // bytes: a power of two, a page or more
    UprobeWay way = UprobeWay::automatic;
  };
  static Result<std::shared_ptr<PthreadProbes>> open(const Options& options);
  ~PthreadProbes();

  // Probes in their places, until the last copy of this goes.
  using Link = std::shared_ptr<void>;

  // On all of these in the file that `path` names now (/proc/self/fd/N), whose thread library is `libc`'s. Of
  // one process, in whose code alone the breakpoints are written; pid 0: of every process that maps the file.
  Result<Link> place(const std::string& path, std::span<const ProbePlace> places, loiter_libc libc,
                     uint32_t pid);

  // Appends what has come.
  void drain(std::vector<Event>& events);

  std::vector<LossCount> losses() const;
  const std::vector<BpfMapSize>& maps() const { return maps_; }
  UprobeWay way() const { return way_; }
  uint64_t names_left() const;  // UprobeEvents::left()

  // The median of many hits of an empty program on a function of this process. Some 20 ms of this thread's
  // time, and one at a time.
  Result<UprobeCost> measure();

 private:
  PthreadProbes() = default;
  struct Target {
    const char* path;
    std::span<const uint64_t> offsets;
    std::span<const uint64_t> cookies;
    uint32_t pid;
  };
  Status try_out(UprobeWay wanted);
  Status try_tracefs();
  Result<Link> attach_trial();
  Status sees_its_own_calls();
  Result<Link> attach(const bpf_program* multi, const bpf_program* single, const Target& target);
  struct Destroy {
    void operator()(pthreads_bpf* skeleton) const;
  };
  std::unique_ptr<pthreads_bpf, Destroy> skeleton_;
  std::unique_ptr<EventRing> ring_;
  std::vector<BpfMapSize> maps_;
  UprobeWay way_ = UprobeWay::multi;
  std::shared_ptr<UprobeEvents> events_;  // with UprobeWay::tracefs
  std::mutex trial_;                      // one at a time
};

}  // namespace loiter
