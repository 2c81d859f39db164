// Foreign strings are bytes: thread names, paths and command lines may hold anything, also what moves a
// terminal's cursor or is no UTF-8. These make them fit for where they go (DESIGN.md section 9).
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace loiter {

// For terminals and logs: C0 and C1 controls, DEL, line separators, bidi and other invisible format marks
// and invalid UTF-8 become "\x1b", "\n", "\u202e" and the like; a backslash is doubled. The result is valid
// UTF-8 without any control character.
std::string escape_for_terminal(std::string_view bytes);

// For JSON: each maximal invalid part becomes U+FFFD; valid UTF-8 passes unchanged.
std::string to_valid_utf8(std::string_view bytes);

// An address: "0x7f12a0".
std::string hexadecimal(uint64_t address);

// Columns that a terminal gives to it (wide characters count 2, combining marks 0). `text` is valid UTF-8,
// as from escape_for_terminal.
size_t display_width(std::string_view text);

// Cut or padded with blanks to exactly `columns`; what is cut ends in "…". `text` as above.
std::string fit_columns(std::string_view text, size_t columns, bool align_right = false);

}  // namespace loiter
