// Fuzzes the reader of /proc/PID/maps, whose paths a target chooses.
#include "daemon/inspect/maps.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kLimit = 50;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<loiter::Mapping> mappings = loiter::parse_maps(text, kLimit);
  FUZZ_CHECK(mappings.size() <= kLimit);
  uint64_t end = 0;
  for (const loiter::Mapping& mapping : mappings) {
    FUZZ_CHECK(mapping.start >= end && mapping.start < mapping.end);
    end = mapping.end;
    FUZZ_CHECK(loiter::find_mapping(mappings, mapping.start) == &mapping);
    FUZZ_CHECK(loiter::find_mapping(mappings, mapping.end - 1) == &mapping);
    loiter::fuzz::bite(mapping.deleted && mapping.path.size() > 2);
  }
  return 0;
}
