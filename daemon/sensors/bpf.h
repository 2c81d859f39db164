// What the sensors share of libbpf: its messages, its errors in words, and the sizes of maps.
//
// libbpf's print callback is process-wide: install it once, before any object is opened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.h"

struct bpf_object;

namespace loiter {

// Sends libbpf's messages to the log: its warnings at debug level, since each failure is told in our words.
void install_libbpf_log();

// Makes of errno and what was tried one line that says what to do.
Error bpf_error(std::string_view what, int error_number);

struct BpfMapSize {
  std::string name;
  uint64_t bytes = 0;  // as the kernel accounts it ("memlock" in fdinfo); 0 where it does not tell
};

// As in BpfMapSize.
uint64_t map_bytes(int map_fd);

// The maps of a loaded object.
std::vector<BpfMapSize> map_sizes(const bpf_object* object);

struct LossCount {
  std::string cause;
  std::string detail;
  uint64_t count = 0;
};

// Sums the per-CPU loss counters of one object ("losses"), one entry for each cause of bpf/records.h.
// A map that cannot be read gives an empty list.
std::vector<LossCount> read_losses(int map_fd);

}  // namespace loiter
