// Gives the terminal back when the program ends without warning: the last resort, from inside a signal
// handler.
//
// Process-wide state. armed and disarmed by the thread that owns the terminal; restore() is
// async-signal-safe and may come from any thread.
#pragma once

#include <termios.h>

#include <string_view>

namespace loiter::top {

// From now on restore() writes `sequences` to `fd` and sets `modes`. What does not fit is refused (false).
bool arm_crash_restore(int fd, std::string_view sequences, const termios& modes);
void disarm_crash_restore();

// Does nothing when not armed, and only once. Never hangs on a terminal that takes no output: SIGALRM ends
// the process then.
void crash_restore();

// Handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT: restore, then die of the same signal. Stays
// installed until the process ends.
void install_crash_handlers();

// Handler of those, for other signals that must end the process at once.
void restore_and_die(int signal);

}  // namespace loiter::top
