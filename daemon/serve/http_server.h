// Serves the API over HTTP with libmicrohttpd: on a listening Unix socket, and on connections handed over.
//
// start() makes a thread of the library's, which runs every request; add_connection() and notify_published()
// may come from any thread. The destructor ends all connections and joins that thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"
#include "daemon/serve/api.h"
#include "daemon/serve/event_hub.h"

namespace loiter {

class HttpServer {
 public:
  struct Parts {
    const Api& api;
    const Board& board;
    EventHub& hub;
    std::function<void()> request_census;  // thread-safe; asks for a census soon
    // Thread-safe; looks inside a process. Must never call back once the server is being destroyed: stop the
    // inspector first. Empty: nobody looks.
    std::function<void(const InspectRequest&, Inspector::Done)> inspect = {};
    // Verdicts, and who comes to them when asked for one on a picture taken since `mono_ns` (0: on any, and
    // nobody waits for it); thread-safe. Null and empty: nobody does.
    const VerdictBoard* verdicts = nullptr;
    std::function<void(uint64_t mono_ns)> request_verdict = {};
    // Has the calls of this process' thread library told while what it gives is kept. Empty: they cannot be.
    std::function<Result<std::shared_ptr<void>>(uint32_t pid)> attach = {};
    // Thread-safe; asks the history. As with `inspect`: stop it first. Empty: there is none.
    std::function<void(const HistoryQuery&, std::function<void(HistoryAnswerPtr)>)> history = {};
  };

  // `listen`: a socket that listens already; none: connections come by add_connection, and only then.
  static Result<std::unique_ptr<HttpServer>> start(Parts parts, Fd listen);
  ~HttpServer();

  // Takes over a connected stream socket.
  void add_connection(Fd connection);

  // A picture or a verdict was published: requests that waited for one go on. Also looks whether listeners of
  // quiet streams are still there.
  void notify_published();

  struct Impl;  // of the .cpp file alone

 private:
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace loiter
