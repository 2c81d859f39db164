// Takes a census: one pass of the in-kernel task iterator over every thread (bpf/census.bpf.c).
//
// Owned and called by the collector thread. Needs CAP_BPF and CAP_PERFMON when it opens; a pass needs none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "bpf/records.h"
#include "daemon/base/result.h"
#include "daemon/sensors/bpf.h"

struct census_bpf;

namespace loiter {

struct Census {
  loiter_census_mark begin{};
  loiter_census_mark end{};
  std::vector<loiter_thread> threads;  // in ascending order of tid; each with the exec id of its process
  // The threads that have not run since the read before, where short records were asked for; the two together
  // are all threads of the host.
  std::vector<loiter_still> still;

  size_t thread_count() const { return threads.size() + still.size(); }
};

// Puts records together from reads that end anywhere. Entirely passive: knows bytes only.
class CensusParser {
 public:
  explicit CensusParser(Census& census) : census_(census) {}

  // False when the bytes are no census.
  bool feed(const std::byte* data, size_t size);

  // True when the closing mark was the last thing fed.
  bool complete() const { return state_ == State::done && partial_.empty(); }

 private:
  enum class State { begin, threads, done };
  size_t take(const std::byte* data, size_t size);

  Census& census_;
  State state_ = State::begin;
  std::vector<std::byte> partial_;
};

class CensusReader {
 public:
  struct Options {
    bool kernel_threads = false;
    size_t read_size = 64 * 1024;  // the kernel hands out 32 KiB at most (bpf_seq_read, 8 pages)
  };

  static Result<std::unique_ptr<CensusReader>> open(const Options& options);
  ~CensusReader();

  enum class Depth {
    full,    // every thread in whole
    changed  // those that have not run since the last read of this reader in short; after a failed one as
             // `full`
  };

  // Fills `census`, whose memory is used again. An error leaves it in no defined state. Whoever asks for
  // `changed` has taken in the census before.
  Status read(Census& census, Depth depth = Depth::full);

  std::vector<LossCount> losses() const;
  std::vector<BpfMapSize> maps() const;

 private:
  explicit CensusReader(const Options& options) : options_(options), buffer_(options.read_size) {}
  Status read_pass(Census& census);
  void spread_exec_ids(Census& census);
  struct Destroy {
    void operator()(census_bpf* skeleton) const;
  };

  Options options_;
  std::unique_ptr<census_bpf, Destroy> skeleton_;
  std::vector<std::byte> buffer_;
  std::unordered_map<uint32_t, uint32_t> exec_ids_;  // by pid; of the pass under way
  uint32_t last_pass_ =
      0;  // the kernel side's number of the last pass, where that was read to its end; 0: none
};

}  // namespace loiter
