// A server on a Unix socket in a test's own process: each connection goes to a handler, one after the other.
// What a client must bear with: any answer, half of one, none.
//
// Owned by the test; the handler runs on a thread of the server's.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "daemon/base/fd.h"
#include "tests/lib/daemon.h"

namespace loiter::test {

class UnixServer {
 public:
  // `handler` gets the connection and the target of the request ("/v1/status"); the server closes it after.
  using Handler = std::function<void(int connection, const std::string& target)>;

  explicit UnixServer(Handler handler);
  ~UnixServer();

  const std::string& path() const { return path_; }

 private:
  void serve();

  TempDir dir_;
  std::string path_;
  Handler handler_;
  Fd listener_;
  std::thread thread_;
};

void send_bytes(int connection, const std::string& bytes);
void send_response(int connection, const std::string& status, const std::string& body);
void send_json(int connection, const std::string& body);  // 200

// Until the other side has closed.
void wait_for_close(int connection);

// A Unix socket file at `path` that nobody listens on any more.
void leave_stale_socket(const std::string& path);

}  // namespace loiter::test
