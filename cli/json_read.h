// Reads members of the daemon's JSON into values: a missing or null member leaves what stands there, one of
// another type throws (nlohmann's json::exception, std::out_of_range or std::invalid_argument).
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

namespace loiter::cli {

// Null where it is missing or null.
inline const nlohmann::json* member(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) throw std::invalid_argument(std::string("no object that could have a ") + key);
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

template <typename Value>
void read(const nlohmann::json& object, const char* key, Value& value) {
  if (const nlohmann::json* found = member(object, key)) found->get_to(value);
}

// nlohmann converts any number to any other in silence: a negative or too large one must not become a tid.
inline void read(const nlohmann::json& object, const char* key, uint32_t& value) {
  const nlohmann::json* found = member(object, key);
  if (!found) return;
  const auto wide = found->get<int64_t>();
  if (wide < 0 || wide > std::numeric_limits<uint32_t>::max()) throw std::out_of_range(key);
  value = static_cast<uint32_t>(wide);
}

template <typename Value>
void read(const nlohmann::json& object, const char* key, std::optional<Value>& value) {
  if (!member(object, key)) return;
  Value found{};
  read(object, key, found);
  value = std::move(found);
}

}  // namespace loiter::cli
