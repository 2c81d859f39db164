// Lengths of time as people write and read them: "30s", "1.5m", "3m12s".
//
// Pure functions, any thread. A length is a count of nanoseconds, 0 to about 292 years.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace loiter {

// Reads a number with one of the units ns, us, ms, s, m, h, d ("250ms", "1.5h"), or several in a row
// ("1h30m"). A number without a unit, a negative one, or one beyond the range gives nullopt.
std::optional<uint64_t> parse_duration(std::string_view text);

// What to tell a user whose length of time parse_duration refused.
std::string duration_error(std::string_view text);

// At most two units, the smaller one whole: "3m12s", "1h02m", "2d04h", "1.53s", "15.2ms", "870us", "12ns".
// Never wider than 7 characters below 100 days.
std::string format_duration(uint64_t ns);

}  // namespace loiter
