// Ends what goes on when the user says so (SIGINT, SIGTERM, SIGHUP) or when a time is up.
//
// One instance at a time, owned by the thread that waits. While it lives these signals and SIGALRM do nothing
// else; afterwards they are what they were.
#pragma once

#include <signal.h>

#include <array>
#include <cstdint>

#include "cli/client.h"
#include "daemon/base/fd.h"

namespace loiter::cli {

class Interrupts {
 public:
  // `client`: its stream is cancelled then; may be null.
  explicit Interrupts(Client* client);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Once, `ns` from now; SIGALRM.
  void after(uint64_t ns);

  // Until a signal or the time has come.
  void wait();

 private:
  static constexpr std::array<int, 4> kHandled{SIGINT, SIGTERM, SIGHUP, SIGALRM};
  Fd read_end_, write_end_;
  std::array<struct sigaction, kHandled.size()> former_;
};

}  // namespace loiter::cli
