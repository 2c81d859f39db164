// A value, or why there is none: for what can be recovered from. (g++ 12 has no std::expected.)
//
// Owned and used by one thread at a time, like any value.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace loiter {

// What went wrong, in one line that a user can act on.
struct Error {
  enum class Kind {
    usage,        // the caller asked for something that cannot be: exit code 2
    unavailable,  // not possible here: no privilege, no BTF, no such process: exit code 3
    internal,     // loiter itself failed
  };
  Kind kind = Kind::internal;
  std::string message;
};

template <typename T>
class Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<std::monostate>;
inline Status ok() {
  return Status(std::monostate{});
}

}  // namespace loiter
