// What tests of the history share: a daemon that keeps a history, and a small disk to keep it on.
#pragma once

#include <sys/mount.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/lib/await.h"
#include "tests/lib/daemon.h"

namespace loiter::test {

inline std::unique_ptr<Daemon> daemon_on(const std::string& state_dir) {
  return std::make_unique<Daemon>(
      std::vector<std::string>{"--state-dir", state_dir, "--history-interval", "1s"});
}

inline nlohmann::json history_status(const Daemon& daemon) {
  return daemon.status().at("history");
}

// As the daemon finds it by itself: a verdict of now looks into all of the host first, on which another test
// may run a hundred faulty programs. `findings`: what was found.
inline ::testing::AssertionResult await_found(const Daemon& daemon, pid_t pid, nlohmann::json& findings) {
  return await(
      "it is found",
      [&] {
        findings = daemon.get("/v1/findings?pid=" + std::to_string(pid)).at("findings");
        return !findings.empty();
      },
      std::chrono::minutes(4));
}

// A file system in memory for the time of a test; `size` as mount takes it.
class RamDisk {
 public:
  explicit RamDisk(const std::string& size) : options_("size=" + size + ",mode=0700") { change(0); }
  ~RamDisk() { umount2(dir_.path().c_str(), MNT_DETACH); }
  RamDisk(const RamDisk&) = delete;
  RamDisk& operator=(const RamDisk&) = delete;

  std::string file(const std::string& name) const { return dir_.file(name); }
  void make_writable(bool writable) const {
    change(MS_REMOUNT | (writable ? 0UL : static_cast<unsigned long>(MS_RDONLY)));
  }

 private:
  void change(unsigned long flags) const {
    if (mount("tmpfs", dir_.path().c_str(), "tmpfs", flags, options_.c_str()))
      throw std::runtime_error("mount failed");
  }

  TempDir dir_;
  std::string options_;
};

}  // namespace loiter::test
