// HTTP GET over sockets that someone else connects (libcurl inside): one connection a request, no proxy, no
// redirect, no other protocol.
//
// Owned by a Client and used by one thread at a time; cancel() may come from any thread or a signal handler.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"

namespace loiter::cli {

struct HttpRequest {
  std::string target;                               // "/v1/status"
  std::chrono::milliseconds timeout{0};             // for all of it; 0: as long as the server lives
  size_t max_bytes = size_t{512} << 20;             // of the answer's body
  std::function<bool(std::string_view)> on_body{};  // takes a body of status 200 as it comes; false ends it
};

struct HttpAnswer {
  long status = 0;
  std::string body;  // what no on_body took
};

class Http {
 public:
  using Dial = std::function<Result<Fd>()>;  // a connected stream socket

  explicit Http(Dial dial);

  // While a request waits, `on_readable` is called whenever `fd` has something to read, until it returns
  // false.
  void watch(int fd, std::function<bool()> on_readable);

  Result<HttpAnswer> get(const HttpRequest& request);

  // Ends the request under way and all to come; async-signal-safe.
  void cancel();
  bool cancelled() const;

 private:
  Dial dial_;
  Fd cancelled_;  // an eventfd, readable once cancelled
  int watched_ = -1;
  std::function<bool()> on_readable_;
};

}  // namespace loiter::cli
