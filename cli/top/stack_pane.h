// The stack of the thread under the cursor, below a table of threads: asked for when the pane is open and
// the thread has run since the stack that is there was read.
//
// Pure state, without a terminal. Owned by a ThreadView, used by the thread that owns the terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/stack_model.h"
#include "cli/top/frame.h"
#include "cli/top/picture.h"

namespace loiter::top {

class StackPane {
 public:
  void toggle() { open_ = !open_; }
  bool open() const { return open_; }

  // `thread`: under the cursor; null where there is none. Nothing: what is there will do.
  std::optional<Request> wanted(const cli::ProcessRow& process, const cli::ThreadRow* thread) const;

  // A reply to such a request.
  void accept(const Reply& reply, const cli::ProcessRow& process);

  // At most `lines` lines: a head line, then as many frames as fit, from its own code on where not all do.
  void draw(std::vector<Line>& out, size_t lines, size_t columns, const cli::ThreadRow* thread) const;

 private:
  bool holds(const cli::ThreadRow& thread) const;
  void draw_frames(std::vector<Line>& out, size_t lines) const;

  bool open_ = false;
  std::optional<Request> answered_;        // that the following is for
  std::optional<cli::StackThread> stack_;  // nothing: it could not be had
  std::string trouble_;                    // why
};

}  // namespace loiter::top
