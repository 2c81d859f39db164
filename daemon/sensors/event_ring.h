// A ring buffer of events, as the programs of one BPF object fill it, mapped.
//
// Owned by who owns the object, and goes before it; used by the collector's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/base/result.h"
#include "daemon/sensors/bpf.h"

struct ring_buffer;

namespace loiter {

struct Event;

class EventRing {
 public:
  static Result<std::unique_ptr<EventRing>> open(int map_fd);
  ~EventRing();

  // Appends what has come, in the order of the ring: nearly, not exactly, that of time.
  void drain(std::vector<Event>& events);

  // Records that could not be understood.
  LossCount unreadable() const;

 private:
  EventRing() = default;
  static int on_record(void* ring, void* data, size_t size);
  struct Free {
    void operator()(ring_buffer* ring) const;
  };
  std::unique_ptr<ring_buffer, Free> ring_;
  std::vector<Event>* sink_ = nullptr;  // only inside drain()
  uint64_t unreadable_ = 0;
};

}  // namespace loiter
