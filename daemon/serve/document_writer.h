// Puts a JSON document together as text, one field after another, so that a list of 20,000 threads never
// stands in memory as 300,000 JSON values (40 MB for 7 MB of text).
//
// A value of one thread. Fields come out in the order in which they are added.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace loiter {

using Json = nlohmann::ordered_json;

// Text of a value. Strings in it should be valid UTF-8 already; should one slip through that is not, it is
// replaced, not thrown.
inline std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The text of an object with one more field, whose value is JSON text already.
inline std::string with_field(std::string object, std::string_view key, std::string_view value) {
  object.pop_back();
  if (object.size() > 1) object += ',';
  return object.append(dump(key)).append(":").append(value).append("}");
}

class DocumentWriter {
 public:
  void field(std::string_view key, const Json& value) {
    begin_field(key);
    text_ += dump(value);
  }

  // An array with `make_row(item)` for each item of `items`.
  template <typename Items, typename MakeRow>
  void array(std::string_view key, const Items& items, MakeRow make_row) {
    begin_field(key);
    text_ += '[';
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) text_ += ',';
      text_ += dump(make_row(item));
    }
    text_ += ']';
  }

  // The same with rows that are JSON text already.
  template <typename Items, typename MakeText>
  void array_of_text(std::string_view key, const Items& items, MakeText make_text) {
    begin_field(key);
    text_ += '[';
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) text_ += ',';
      text_ += make_text(item);
    }
    text_ += ']';
  }

  // The whole document. The writer is used up.
  std::string finish() && {
    text_ += '}';
    return std::move(text_);
  }

 private:
  void begin_field(std::string_view key) {
    if (text_.size() > 1) text_ += ',';
    text_ += dump(key);
    text_ += ':';
  }

  std::string text_ = "{";
};

}  // namespace loiter
