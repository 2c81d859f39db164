#include "tests/unit/cli_unix_server.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>

namespace loiter::test {
namespace {

Fd bind_to(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)))
    throw std::runtime_error("cannot bind " + path + ": " + strerror(errno));
  return fd;
}

// The head of a request; empty where the client left before its end.
std::string read_head(int connection) {
  std::string head;
  char byte;
  while (!head.ends_with("\r\n\r\n")) {
    if (recv(connection, &byte, 1, 0) != 1) return "";
    head += byte;
  }
  return head;
}

}  // namespace

UnixServer::UnixServer(Handler handler)
    : path_(dir_.file("socket")), handler_(std::move(handler)), listener_(bind_to(path_)) {
  listen(listener_.get(), 8);
  thread_ = std::thread([this] { serve(); });
}

UnixServer::~UnixServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void UnixServer::serve() {
  while (true) {
    const Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    const std::string head = read_head(connection.get());
    const size_t start = head.find(' ');
    if (start == head.npos) continue;  // connected and left
    handler_(connection.get(), head.substr(start + 1, head.find(' ', start + 1) - start - 1));
  }
}

void send_bytes(int connection, const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

void send_response(int connection, const std::string& status, const std::string& body) {
  send_bytes(connection,
             "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

void send_json(int connection, const std::string& body) {
  send_response(connection, "200 OK", body);
}

void wait_for_close(int connection) {
  char byte;
  while (recv(connection, &byte, 1, 0) > 0) {
  }
}

void leave_stale_socket(const std::string& path) {
  bind_to(path);
}

}  // namespace loiter::test
