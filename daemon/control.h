// A private daemon's line to the command that started it: connections come over it, and its end is ours.
//
// Owned by main, used on the event loop's thread.
#pragma once

#include <functional>

#include "daemon/base/fd.h"

namespace loiter {

class ControlSocket {
 public:
  explicit ControlSocket(Fd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }

  // One message: calls `connection` with each descriptor in it. False: the other end is closed.
  bool receive(const std::function<void(Fd)>& connection);

 private:
  Fd socket_;
};

}  // namespace loiter
