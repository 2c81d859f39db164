// All of `loiter top` but the terminal and the daemon: keys and pictures go in, frames come out.
//
// Pure state; `now_ns` is CLOCK_BOOTTIME. Owned and used by the thread that owns the terminal.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/view.h"

namespace loiter::top {

class App {
 public:
  // `patient`: how long a daemon may fail to answer before that ends it.
  App(uint64_t interval_ns, uint64_t patience_ns);

  void on_key(const Key& key);
  void on_reply(const Reply& reply, uint64_t now_ns);

  // What the feed shall ask for.
  std::vector<Request> wanted() const;

  Frame frame(size_t rows, size_t columns, uint64_t now_ns);

  bool done() const { return done_; }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  View& view() const { return *views_.back(); }
  void on_common_key(const Key& key);
  void on_failure(const Error& error, uint64_t now_ns);
  std::string old_age(uint64_t now_ns) const;
  Line host(size_t columns, uint64_t now_ns) const;
  Line figures(size_t columns) const;
  Line title(size_t columns, uint64_t now_ns) const;
  Line foot(size_t columns) const;

  const uint64_t interval_ns_, patience_ns_;
  std::vector<std::unique_ptr<View>> views_;  // the last one is shown; never empty
  std::optional<cli::HostLine> host_;
  bool paused_ = false, done_ = false;
  std::optional<uint64_t> failing_since_ns_;
  std::string trouble_;
  std::optional<Error> failure_;
};

}  // namespace loiter::top
