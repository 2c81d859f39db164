// Small works on text that the views share.
//
// Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

namespace loiter::top {

// Of ASCII letters; all else stays.
std::string lower_case(std::string_view text);

// Whether `text` holds `needle` (in lower case), letter case aside.
bool contains(std::string_view text, std::string_view needle);

void append_utf8(std::string& text, char32_t character);
void remove_last_character(std::string& text);

}  // namespace loiter::top
