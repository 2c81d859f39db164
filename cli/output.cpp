#include "cli/output.h"

#include <errno.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

constexpr size_t kFlushAt = size_t{1} << 16;

// For a terminal that shows no UTF-8: bytes of it could even be control characters there.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) out += c;
    if (byte >= 0xc0) out += '?';  // one for each character
  }
  return out;
}

}  // namespace

Output::Output(int fd) : fd_(fd), terminal_(isatty(fd) == 1) {
  utf8_ = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  winsize size{};
  if (terminal_ && ioctl(fd, TIOCGWINSZ, &size) == 0) width_ = size.ws_col;
}

std::optional<size_t> Output::width() const {
  return terminal_ && width_ > 0 ? std::optional(width_) : std::nullopt;
}

void Output::line(std::string_view text) {
  std::string shown(text);
  if (terminal_ && width_ > 0 && display_width(shown) > width_) shown = fit_columns(shown, width_);
  if (terminal_ && !utf8_) shown = plain(shown);
  const size_t last = shown.find_last_not_of(' ');
  shown.resize(last == shown.npos ? 0 : last + 1);
  pending_ += shown + '\n';
  if (pending_.size() > kFlushAt) flush();
}

void Output::whole(std::string_view lines) {
  pending_ += terminal_ && !utf8_ ? plain(lines) : std::string(lines);
  if (pending_.size() > kFlushAt) flush();
}

void Output::json(const nlohmann::json& document) {
  pending_ += document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  if (pending_.size() > kFlushAt) flush();
}

bool Output::flush() {
  if (error_ == 0 && !print(fd_, pending_)) error_ = errno;
  pending_.clear();
  return error_ == 0;
}

Status Output::finish() {
  if (flush() || error_ == EPIPE) return ok();
  return Error{Error::Kind::unavailable, std::string("cannot write the result: ") + strerror(error_)};
}

bool print(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

void complain(std::string_view message) {
  print(STDERR_FILENO, "loiter: " + escape_for_terminal(message) + "\n");
}

}  // namespace loiter::cli
