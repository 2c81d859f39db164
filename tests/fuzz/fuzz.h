// What the fuzzers share. Each tests/fuzz/NAME.cpp defines LLVMFuzzerTestOneInput and is built twice by `make
// fuzz`: as build/fuzz/NAME, and with LOITER_PLANTED_BUG as build/fuzz/NAME.planted, whose bug a short run
// must find, or the fuzzer is blind. Seeds lie in tests/fuzz/corpus/NAME/. scripts/run-fuzz runs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace loiter::fuzz {

// A statement that must be true, whatever the input.
#define FUZZ_CHECK(condition) \
  if (!(condition)) __builtin_trap()

#ifdef LOITER_PLANTED_BUG
constexpr bool kPlantedBug = true;
#else
constexpr bool kPlantedBug = false;
#endif

// Where the planted bug is to bite: reads behind a heap block.
inline void bite(bool reached) {
  if (!kPlantedBug || !reached) return;
  const std::vector<char> block(8);
  volatile char behind = block.data()[block.size()];
  (void)behind;
}

// Takes an input apart from the front; at its end there are zeros.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}

  template <typename T>
  T take() {
    T value{};
    const size_t size = sizeof(T) < rest_.size() ? sizeof(T) : rest_.size();
    std::memcpy(&value, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return value;
  }
  bool empty() const { return rest_.empty(); }
  std::span<const uint8_t> rest() const { return rest_; }

 private:
  std::span<const uint8_t> rest_;
};

}  // namespace loiter::fuzz
