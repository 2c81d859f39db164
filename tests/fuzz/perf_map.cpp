// Perf maps of any content: what is found is what a search line by line finds, within the bounds.
#include "daemon/inspect/parser/perf_map.h"

#include <string>

#include "tests/fuzz/fuzz.h"

using namespace loiter;

namespace {

constexpr PerfMap::Limits kLimits{.bytes = 4096, .entries = 64, .name_bytes = 16};

// The names are bounded; one that was cut has exactly the bound.
void look_at(std::string_view name) {
  FUZZ_CHECK(!name.empty() && name.size() <= kLimits.name_bytes);
  if constexpr (fuzz::kPlantedBug) {
    const std::string copy(name);
    volatile char behind = name.ends_with("...") ? copy.data()[copy.capacity() + 1] : 'x';
    (void)behind;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const PerfMap map({reinterpret_cast<const char*>(data), size}, kLimits);
  FUZZ_CHECK(map.size() <= kLimits.entries);
  size_t named = 0;
  for (uint64_t address = 0; address < 0x200; ++address)
    if (const auto name = map.find(address)) {
      look_at(*name);
      ++named;
    }
  for (const uint64_t address : {uint64_t{0x7fff'0000'0000}, UINT64_MAX - 1, UINT64_MAX})
    if (const auto name = map.find(address)) look_at(*name);
  FUZZ_CHECK(map.size() > 0 || named == 0);
  return 0;
}
