// Puts a Frame onto the curses screen: what each style looks like, and what stands in for a character that
// the locale cannot show.
//
// Called by Terminal only, on the thread that owns it.
#pragma once

#include <string>
#include <string_view>

#include "cli/top/frame.h"

namespace loiter::top {

// Once, after the terminal was entered.
void prepare_styles(bool colours);

void paint_frame(const Frame& frame);

// `text` (valid UTF-8) for a terminal of the current locale. A character that this cannot show becomes a
// plain one of the same meaning, or '?'; no column is gained or lost.
std::wstring showable(std::string_view text);

}  // namespace loiter::top
