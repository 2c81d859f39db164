// Who a thread is. With the start time, a tid that is used again names another thread.
//
// A value, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "bpf/records.h"

namespace loiter {

struct TaskKey {
  uint32_t tid = 0;
  uint64_t start_boot_ns = 0;
  friend bool operator==(const TaskKey&, const TaskKey&) = default;
};

inline TaskKey key_of(const loiter_task_id& id) {
  return {id.tid, id.start_boot_ns};
}

struct TaskKeyHash {
  size_t operator()(const TaskKey& key) const {
    return std::hash<uint64_t>()(key.start_boot_ns * 0x9e3779b97f4a7c15 ^ key.tid);
  }
};

}  // namespace loiter
