// A cgroup of a test's own, below the root of whichever version of cgroups has the controller here.
//
// Used by the thread that made it. Where none can be made, the test ends by an exception.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace loiter::test {

class Cgroup {
 public:
  enum class Version { any, v1, v2 };

  // "cpu", "pids" or "freezer"; `any`: of cgroup v1 where that has it, else of v2.
  explicit Cgroup(const std::string& controller, Version version = Version::any);
  // Whoever is still in it goes to the root.
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  static bool is_there(const std::string& controller, Version version);

  void take(pid_t process) const;
  void give_back(pid_t process) const;

  void set_cpu(uint64_t quota_us, uint64_t period_us) const;
  void set_most_threads(uint64_t count) const;
  void freeze() const;  // returns when all in it are
  void thaw() const;

  // As /proc/PID/cgroup has it.
  const std::string& path() const { return name_; }

 private:
  void write(const std::string& file, const std::string& text) const;

  std::string controller_;
  std::string parent_;  // the root of the hierarchy
  std::string name_;    // "/…"
  bool v2_ = false;
};

}  // namespace loiter::test
