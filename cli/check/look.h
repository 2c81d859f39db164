// Asks the daemon about a process of `loiter check`: at its end, while it waits in exit_group, or where it
// hangs. Only the threads that are past their last instruction, which no census tells, are read from /proc.
//
// Used by the thread that owns the client.
#pragma once

#include <cstdint>

#include "cli/check/keeper.h"
#include "cli/check/verdict.h"
#include "cli/client.h"
#include "daemon/base/result.h"

namespace loiter::cli {

class EndLook {
 public:
  EndLook(Client& client, CheckRules rules)
      : client_(client), rules_(std::move(rules)), judges_(!client.is_private()) {}

  // From then on the daemon judges after each census: a private one waits to be asked.
  Status begin_judging();

  // How many threads still live that count. 0 as well where the process is gone.
  Result<size_t> count_live(const HeldExit& held);

  // A child that never made a thread, as far as the last census knows, has nothing to be looked at: nothing
  // where a look is worth it, else whether the daemon knew it at all.
  std::optional<bool> is_plain(const HeldExit& held);

  // Of a process that waits in exit_group. Where threads wait for locks it waits until the daemon can tell
  // whether they do so for good.
  Result<ProcessVerdict> at_end(const HeldExit& held);

  // Of one that ended unseen: what had been found while it ran.
  Result<ProcessVerdict> not_seen(uint32_t pid, const std::string& comm);

  // Of one that is not done in time.
  Result<ProcessVerdict> not_done(uint32_t pid, uint64_t within_ns);

  // The processes that live and descend from `pid`, itself the first.
  Result<std::vector<uint32_t>> family(uint32_t pid);

 private:
  Result<nlohmann::json> fetch_tree(uint32_t pid, bool ended = false);
  Status fetch_findings(EndDocuments& documents, const std::vector<nlohmann::json>& threads);
  void fetch_stacks(EndDocuments& documents);
  void fetch_unjoined(EndDocuments& documents);
  std::string why(const nlohmann::json& tree_document);

  Client& client_;
  CheckRules rules_;
  bool judges_;  // the daemon does so since before the command began, or since it was asked to
};

// The threads of a process that do not run any of its instructions any more (PF_EXITING): one that was joined
// may be seen so for a moment.
std::set<uint32_t> ending_threads(uint32_t pid);

}  // namespace loiter::cli
