// What the terminal's description says: whether a full-screen view can be drawn on it, and the bytes that
// give it back.
//
// Called by Terminal only, on the thread that owns it.
#pragma once

#include <string>

#include "daemon/base/result.h"

namespace loiter::top {

// By TERM; `unavailable`, with the reason, where it cannot.
Status check_terminfo();

// Ends full-screen, attributes and keypad mode, shows the cursor. Padding is worked out here, so that a
// signal handler has only to write it. After check_terminfo().
std::string leaving_sequences();

}  // namespace loiter::top
