// The messages between the daemon and its opener: both ends are this executable, so plain structs do.
#pragma once

#include <cstdint>

namespace loiter {

enum class OpenerOp : uint32_t {
  read_memory = 1,
  read_file,
  read_link,
  open_plain,
  open_in_root,
  follow_list
};

// Followed by the pieces, by the path, or by the list.
struct OpenerRequest {
  OpenerOp op{};
  uint32_t pid = 0;
  uint64_t count = 0;  // of pieces; of bytes wanted of a file
};

// Followed by one uint32_t a piece, by what came of the list, or by the bytes of a file or link. An opened
// file rides along.
struct OpenerReply {
  int32_t error = 0;  // errno
  uint32_t pad = 0;
};

}  // namespace loiter
