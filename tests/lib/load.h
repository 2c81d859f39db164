// Clients that keep a server busy: each connects, asks, reads the answer, and begins again, until it is told
// to stop.
//
// Has a thread for each client. Used by the thread that made it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/fd.h"

namespace loiter::test {

// Where a server listens: a Unix socket, or, with a port, 127.0.0.1.
struct Endpoint {
  std::string path = {};
  uint16_t port = 0;
};

// Invalid where nobody listens.
Fd connect_to(const Endpoint& endpoint);

// What a client says, and how the answer to it ends; with no end it ends with the connection.
struct Exchange {
  std::string request;
  std::string end = {};
};

// One exchange, on a connection of its own; nothing where it did not come to its end.
std::optional<std::string> ask(const Endpoint& endpoint, const Exchange& exchange);

class Load {
 public:
  Load(const Endpoint& endpoint, const Exchange& exchange, size_t clients);
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Waits for the answers that are under way. How many came.
  uint64_t stop();

 private:
  void run_client();

  Endpoint endpoint_;
  Exchange exchange_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> answers_ = 0;
  std::vector<std::thread> clients_;
};

}  // namespace loiter::test
