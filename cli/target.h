// The target of an API request, put together: path, then query.
//
// A value, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace loiter::cli {

class Target {
 public:
  explicit Target(std::string path) : text_(std::move(path)) {}

  Target& with(std::string_view key, std::optional<uint64_t> value) {
    if (!value) return *this;
    text_ += text_.find('?') == std::string::npos ? '?' : '&';
    text_ += std::string(key) + "=" + std::to_string(*value);
    return *this;
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace loiter::cli
