// Where a command's result goes: stdout, as lines of text or as JSON. Knows whether that is a terminal, how
// wide it is and what it can show; a reader who has had enough (`| head -1`) is no error.
//
// Owned by main, used by its thread.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "cli/tree_layout.h"
#include "daemon/base/result.h"

namespace loiter::cli {

class Output {
 public:
  explicit Output(int fd);

  bool is_terminal() const { return terminal_; }
  Glyphs glyphs() const { return utf8_ ? Glyphs::unicode : Glyphs::ascii; }

  // Of the terminal; nothing where there is none or its width is not known.
  std::optional<size_t> width() const;

  // `text`: as from escape_for_terminal, without a newline. Cut to the width of a terminal; whole elsewhere.
  void line(std::string_view text);

  // Whole lines with their newlines, as from escape_for_terminal: never cut, for what is to be copied.
  void whole(std::string_view lines);

  // One document and a newline; invalid UTF-8 is replaced.
  void json(const nlohmann::json& document);

  // What has been written so far leaves the process. False where nobody reads on.
  bool flush();

  // Flushes; what went wrong, if it was more than a reader who left.
  Status finish();

 private:
  int fd_;
  bool terminal_ = false;
  bool utf8_ = false;
  size_t width_ = 0;  // of the terminal
  std::string pending_;
  int error_ = 0;  // errno of a write
};

// All of it, as it is. False where that could not be written.
bool print(int fd, std::string_view text);

// One line to stderr: "loiter: MESSAGE", with whatever the message holds made harmless.
void complain(std::string_view message);

}  // namespace loiter::cli
