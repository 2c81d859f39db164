// A finding with all that is known of it as bytes, and back: JSON, compressed (gzip, whose checksum also
// tells what is damaged). Text that is no valid UTF-8 is replaced, as in the API.
//
// Pure functions, any thread. What is decoded may hold anything: it is checked, bounded, and gives nullopt
// where it is not what was encoded. Fields may be added; what is missing stays as it is made.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/history/types.h"

namespace loiter {

struct EncodedFinding {
  KeptFinding kept;
  std::vector<NamedThread> names;
};

std::string encode_finding(const KeptFinding& kept, const std::vector<NamedThread>& names);
std::optional<EncodedFinding> decode_finding(std::string_view bytes);

}  // namespace loiter
