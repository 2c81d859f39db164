// The start routine of a thread, as the daemon tells it. All strings are foreign; the text is fit for a
// terminal.
//
// Values and pure functions, any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace loiter::cli {

struct StartRoutine {
  std::optional<std::string> symbol, module, callable;
  std::optional<uint64_t> offset;
  bool operator==(const StartRoutine&) const = default;
};

// The member "start_routine"; nothing where it is missing or null. Throws a std::exception on other types.
std::optional<StartRoutine> parse_routine(const nlohmann::json& object);

// What that member holds.
StartRoutine read_routine(const nlohmann::json& routine);

// "worker", "Functor" of a std::thread, "libfoo.so+0x12a0" without a name.
std::string routine_text(const StartRoutine& routine);

}  // namespace loiter::cli
