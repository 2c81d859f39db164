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

  // Of a name: any bytes.
  Target& with_text(std::string_view key, std::string_view value) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    text_ += text_.find('?') == std::string::npos ? '?' : '&';
    text_ += std::string(key) + "=";
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '_' || byte == '.';
      if (plain)
        text_ += c;
      else
        text_.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
    return *this;
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace loiter::cli
