#include "tests/lib/load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

namespace loiter::test {
namespace {

constexpr timeval kPatience{20, 0};  // with a server that says nothing

std::optional<std::string> exchange_on(int connection, const Exchange& exchange) {
  const std::string& request = exchange.request;
  if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return std::nullopt;
  std::string answer;
  char buffer[4096];
  for (;;) {
    const ssize_t size = recv(connection, buffer, sizeof(buffer), 0);
    const bool ended = size == 0 && exchange.end.empty() && !answer.empty();
    if (size <= 0) return ended ? std::optional(answer) : std::nullopt;
    answer.append(buffer, static_cast<size_t>(size));
    if (!exchange.end.empty() && answer.ends_with(exchange.end)) return answer;
  }
}

}  // namespace

Fd connect_to(const Endpoint& endpoint) {
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_port = htons(endpoint.port);
  inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  if (endpoint.path.size() >= sizeof(local.sun_path)) return {};
  memcpy(local.sun_path, endpoint.path.c_str(), endpoint.path.size());
  const bool is_inet = endpoint.port != 0;
  const auto* address =
      is_inet ? reinterpret_cast<const sockaddr*>(&inet) : reinterpret_cast<const sockaddr*>(&local);
  Fd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || connect(fd.get(), address, is_inet ? sizeof(inet) : sizeof(local))) return {};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  return fd;
}

std::optional<std::string> ask(const Endpoint& endpoint, const Exchange& exchange) {
  const Fd connection = connect_to(endpoint);
  return connection ? exchange_on(connection.get(), exchange) : std::nullopt;
}

Load::Load(const Endpoint& endpoint, const Exchange& exchange, size_t clients)
    : endpoint_(endpoint), exchange_(exchange) {
  for (size_t i = 0; i < clients; ++i) clients_.emplace_back([this] { run_client(); });
}

uint64_t Load::stop() {
  stopping_ = true;
  for (std::thread& client : clients_)
    if (client.joinable()) client.join();
  return answers_;
}

void Load::run_client() {
  Fd connection;
  while (!stopping_) {
    if (!connection) connection = connect_to(endpoint_);
    if (connection && exchange_on(connection.get(), exchange_)) {
      ++answers_;
    } else {
      connection.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (exchange_.end.empty()) connection.reset();
  }
}

}  // namespace loiter::test
