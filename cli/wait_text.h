// A wait in words: "mutex 0x55d0a0c0 held by 4711 db-writer", "read pipe:[123], other end 712 sh",
// "nanosleep, 12.0s left". For columns, head lines and sentences.
//
// Pure functions, any thread. All results are fit for a terminal (escape_for_terminal).
#pragma once

#include <cstddef>
#include <string>

#include "cli/wait.h"

namespace loiter::cli {

std::string wait_text(const Wait& wait);

// The same in at most `columns`: an address loses its middle, then goes; what is still too long is cut with
// "…". Who holds it stays longest.
std::string wait_text_within(const Wait& wait, size_t columns);

// wait_text, then what is known besides: "… (pthread_mutex_t, normal)", "… (fd 3)".
std::string wait_text_long(const Wait& wait);

// As what a thread does: "waits for mutex 0x55d0a0c0 held by 4711 db-writer", "sleeps (nanosleep)".
std::string wait_sentence(const Wait& wait);

}  // namespace loiter::cli
