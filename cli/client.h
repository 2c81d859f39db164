// The command line's way to the daemon: HTTP over the Unix socket of a running loiterd, or over socket
// pairs to a private one that this process starts and ends. One code path for both (DESIGN.md sections 5, 9).
//
// A Client is used by one thread at a time, except that cancel() may come from any thread or a signal
// handler.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.h"

namespace loiter {

struct ConnectOptions {
  std::optional<std::string> socket_path;  // given by the user: no private daemon then
  std::vector<std::string> daemon_args;    // for a private daemon: --threshold, --kernel-threads

  // Where a running daemon is looked for, and what is run where there is none; empty: beside the executable.
  std::string default_socket = "/run/loiter/loiterd.sock";
  std::string loiterd;
  // A running daemon that has not said who it is by then is taken for something else.
  std::chrono::milliseconds first_answer{10'000};
};

class Client {
 public:
  virtual ~Client() = default;

  // GET `target` ("/v1/processes?fresh=1"). The daemon's own error documents come back as an Error of kind
  // `usage` (400) or `unavailable`, with the daemon's message. Waits as long as the daemon lives.
  virtual Result<nlohmann::json> get(const std::string& target) = 0;

  // Streams lines of `target` to `on_line` until it returns false or cancel(): good. A stream that the daemon
  // ends is an error.
  virtual Status stream(const std::string& target, const std::function<bool(std::string_view)>& on_line) = 0;

  // Ends the stream or get() under way, and all to come; async-signal-safe.
  virtual void cancel() = 0;

  // True where the daemon is this process's own child and not the host's.
  virtual bool is_private() const = 0;
};

// Connects to the running daemon, or starts a private one where none runs. A daemon that runs and refuses
// is an error (unavailable), never a reason to start another. Returns once it has answered /v1/status.
Result<std::unique_ptr<Client>> connect_to_daemon(const ConnectOptions& options);

}  // namespace loiter
