// The configuration that holds, and what became of loading it again: swapped as a whole where the file is
// good, kept as it is where not.
//
// Owned and called by the main thread; what it gives is immutable and for any thread.
#pragma once

#include <string>
#include <variant>

#include "daemon/config.h"
#include "daemon/serve/picture.h"

namespace loiter {

class ConfigKeeper {
 public:
  // Loads it for the first time. A private daemon does without the usual file where that is bad: it is
  // started to look at what goes wrong on this host.
  static std::variant<ConfigKeeper, ConfigErrors> start(const DaemonOptions& flags);

  const ConfigPtr& current() const { return current_; }

  // Loads it again, and logs what came of it.
  void reload();

  void log_warnings() const;
  DaemonFacts::ConfigFile facts() const { return facts_; }

 private:
  ConfigKeeper(DaemonOptions flags, Config first);
  void take(Config config);

  DaemonOptions flags_;
  ConfigPtr first_;  // what cannot change at run time is as it says
  ConfigPtr current_;
  DaemonFacts::ConfigFile facts_;
};

}  // namespace loiter
