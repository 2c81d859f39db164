// One page of `loiter top`: what it is called, what it draws, which keys it knows. The App holds a stack of
// them; a new one (the stack of a thread, findings, goroutines) is one more class.
//
// Pure state, without a terminal. Owned by the App, used by the thread that owns the terminal.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/top/frame.h"
#include "cli/top/keys.h"
#include "cli/top/picture.h"

namespace loiter::top {

class View;

// What a key led to.
struct Outcome {
  enum class Kind : uint8_t { done, unknown_key, back, opened } kind = Kind::done;
  std::unique_ptr<View> view;  // opened: to be put on top

  static Outcome done() { return {Kind::done, nullptr}; }
  static Outcome unknown_key() { return {Kind::unknown_key, nullptr}; }
  static Outcome back() { return {Kind::back, nullptr}; }
  static Outcome opened(std::unique_ptr<View> view) { return {Kind::opened, std::move(view)}; }
};

class View {
 public:
  virtual ~View() = default;

  // What the line above it says, most important first.
  virtual std::vector<Span> title() const = 0;

  // At most `lines` lines.
  virtual void draw(std::vector<Line>& out, size_t lines, size_t columns) = 0;

  virtual Outcome on_key(const Key& key) = 0;

  // Keys to remind of: {"Enter", "threads"}, most important first.
  virtual std::vector<std::pair<std::string, std::string>> hints() const = 0;

  // In place of the hints: a question being answered, or what just happened.
  virtual std::optional<Line> prompt() const { return std::nullopt; }

  // Asked for while this view is on top, besides the list of processes.
  virtual std::optional<Request> request() const { return std::nullopt; }

  // Asked for as well, once it has been wanted for a moment, and also while the picture is paused.
  virtual std::optional<Request> stack_request() const { return std::nullopt; }

  // Each picture that came in, also while another view is on top.
  virtual void accept(const Reply&) {}

  // When the picture it shows was taken; 0: none has come yet, or it shows none.
  virtual uint64_t as_of_boottime_ns() const { return 0; }
  virtual std::string as_of() const { return {}; }
};

}  // namespace loiter::top
