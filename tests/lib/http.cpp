#include "tests/lib/http.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace loiter::test {

HttpConnection::HttpConnection(const std::string& socket_path)
    : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!fd_ || socket_path.size() >= sizeof(address.sun_path))
    throw std::runtime_error("no socket for " + socket_path);
  socket_path.copy(address.sun_path, socket_path.size());
  if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)))
    throw std::runtime_error("cannot connect to " + socket_path + ": " + strerror(errno));
}

bool HttpConnection::send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

bool HttpConnection::request(const std::string& target, const std::string& method) {
  return send(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}

bool HttpConnection::fill(Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd poll_for{fd_.get(), POLLIN, 0};
  if (ended_ || poll(&poll_for, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) != 1) return false;
  char buffer[65536];
  const ssize_t n = recv(fd_.get(), buffer, sizeof(buffer), 0);
  ended_ = n <= 0;
  raw_.append(buffer, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  return !ended_;
}

HttpResponse HttpConnection::read_head(std::chrono::milliseconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  size_t end;
  while ((end = raw_.find("\r\n\r\n")) == std::string::npos)
    if (!fill(deadline)) return {};
  HttpResponse response;
  size_t line_end = raw_.find("\r\n");
  if (raw_.starts_with("HTTP/1.1 ")) response.status = std::stoi(raw_.substr(9, 3));
  while (line_end < end) {
    const size_t start = line_end + 2;
    line_end = raw_.find("\r\n", start);
    const size_t colon = raw_.find(':', start);
    std::string name = raw_.substr(start, colon - start);
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    response.headers[name] = raw_.substr(colon + 2, line_end - colon - 2);
  }
  raw_.erase(0, end + 4);
  chunked_ = response.headers["transfer-encoding"] == "chunked";
  return response;
}

// Moves one whole chunk from raw_ to body_; false where there is none yet.
bool HttpConnection::unwrap_chunk() {
  const size_t line_end = raw_.find("\r\n");
  if (line_end == std::string::npos) return false;
  const size_t size = std::stoul(raw_.substr(0, line_end), nullptr, 16);
  if (raw_.size() < line_end + 2 + size + 2) return false;
  body_.append(raw_, line_end + 2, size);
  raw_.erase(0, line_end + 2 + size + 2);
  ended_ = ended_ || size == 0;
  return true;
}

bool HttpConnection::fill_body(Deadline deadline) {
  while (true) {
    if (chunked_) {
      if (unwrap_chunk()) return true;
    } else if (!raw_.empty()) {
      body_ += std::exchange(raw_, {});
      return true;
    }
    if (!fill(deadline)) return false;
  }
}

std::optional<std::string> HttpConnection::read_line(std::chrono::milliseconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  size_t end;
  while ((end = body_.find('\n')) == std::string::npos)
    if (!fill_body(deadline)) return std::nullopt;
  std::string line = body_.substr(0, end);
  body_.erase(0, end + 1);
  return line;
}

std::string HttpConnection::read_body(std::chrono::milliseconds limit) {
  const Deadline deadline = std::chrono::steady_clock::now() + limit;
  while (!ended_ && fill_body(deadline)) {
  }
  return std::exchange(body_, {});
}

HttpResponse HttpConnection::read_response(std::chrono::milliseconds limit) {
  HttpResponse response = read_head(limit);
  response.body = read_body(limit);
  return response;
}

HttpResponse http_get(const std::string& socket_path, const std::string& target) {
  HttpConnection connection(socket_path);
  connection.request(target);
  return connection.read_response();
}

}  // namespace loiter::test
