// A descriptor handed to the process at the other end of a Unix socket.
//
// Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace loiter {

// As send(): how many bytes of the message went, or -1 with errno. `fd` goes with the first of them and stays
// the caller's; -1: none does. A signal does not interrupt it, a reader who is gone raises none.
ssize_t send_with_fd(int socket, const void* data, size_t size, int fd);

}  // namespace loiter
