// The terminal as `loiter top` holds it: full-screen, keys unbuffered, no echo. Entering saves what it was
// and arms the crash handlers; leaving gives it back.
//
// One instance at a time, owned and used by one thread (ncurses is not thread-safe).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "cli/top/frame.h"
#include "cli/top/keys.h"
#include "daemon/base/result.h"

namespace loiter::top {

class Terminal {
 public:
  // `unavailable` where there is no terminal, or one that cannot do it: TERM=dumb, an unknown TERM.
  static Result<std::unique_ptr<Terminal>> enter();
  ~Terminal() { leave(); }

  void leave();   // as it was before; does nothing the second time
  void resume();  // after leave(): full-screen again

  size_t rows() const;
  size_t columns() const;
  void resized();  // asks the terminal for its size
  void redraw();   // next time all of it, for what others wrote over it

  void paint(const Frame& frame);

  // The next key that has been pressed; never waits.
  std::optional<Key> read_key();

 private:
  Terminal() = default;
  bool entered_ = false;
};

}  // namespace loiter::top
