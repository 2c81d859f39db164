// Unwinds and names stacks by way of a child that has no privilege at all: foreign files are mapped and
// parsed there and nowhere else. What harms the child costs an answer, never the daemon.
//
// Owned by the inspector's thread. A child that dies or does not answer is replaced; it then knows no module
// any more, which generation() tells.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/base/result.h"
#include "daemon/inspect/helper_process.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/wire.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class Parser {
 public:
  Parser(const SharedMemory& memory, const std::atomic<bool>& cancel) : memory_(memory), cancel_(cancel) {}

  // Changes when the child was replaced: what was added before is gone.
  uint64_t generation() const { return generation_; }

  // `op`: one of the add_… ones.
  Result<ModuleFacts> add(ParserOp op, ModuleKey key, Fd file);
  Status forget(ModuleKey key);
  // One answer a name, in their order; at most kMostNames.
  Result<std::vector<FoundSymbol>> find_symbols(ModuleKey key, std::span<const std::string> names);
  // `request`: without jobs.
  Result<UnwindReply> unwind(const UnwindRequest& request, std::span<const SharedJob> jobs);

 private:
  Result<std::string> call(const std::vector<std::byte>& request, int fd);
  const SharedMemory& memory_;
  const std::atomic<bool>& cancel_;
  std::optional<HelperProcess> child_;
  uint64_t generation_ = 0;
};

// The child's part: gives up every privilege, then serves requests on kHelperSocketFd until the owner is
// gone.
int run_parser_child();

}  // namespace loiter
