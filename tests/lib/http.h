// A small HTTP/1.1 client over a Unix socket, made for testing a server: it can also stop half-way, send
// rubbish and leave without a word. One request a connection.
//
// Used by one thread at a time. Failures to connect are thrown as std::runtime_error.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "daemon/base/fd.h"
#include "tests/lib/await.h"

namespace loiter::test {

struct HttpResponse {
  int status = 0;                              // 0: the server closed without a whole response
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpConnection {
 public:
  explicit HttpConnection(const std::string& socket_path);

  // False where the server has closed.
  bool send(const std::string& bytes);

  // Sends a request for `target` that closes the connection after it.
  bool request(const std::string& target, const std::string& method = "GET");

  // The head of a response; the body is left empty.
  HttpResponse read_head(std::chrono::milliseconds limit = kPatience);

  // The next line of the body, without its newline; nothing where `limit` passed or the body ended.
  std::optional<std::string> read_line(std::chrono::milliseconds limit = kPatience);

  // All that is left of the body.
  std::string read_body(std::chrono::milliseconds limit = kPatience);

  // Head and whole body.
  HttpResponse read_response(std::chrono::milliseconds limit = kPatience);

  // True where the server has closed and nothing is left to read.
  bool ended() const { return ended_; }

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  bool fill(Deadline deadline);  // reads some more; false at the end or the deadline
  bool fill_body(Deadline deadline);
  bool unwrap_chunk();

  Fd fd_;
  std::string raw_;   // received, not yet taken
  std::string body_;  // without the framing of chunks, not yet taken
  bool chunked_ = false;
  bool ended_ = false;
};

HttpResponse http_get(const std::string& socket_path, const std::string& target);

}  // namespace loiter::test
