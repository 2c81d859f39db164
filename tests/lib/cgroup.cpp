#include "tests/lib/cgroup.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/lib/await.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRoot = "/sys/fs/cgroup";

// The hierarchy of v2: the whole of it, or beside those of v1. Empty: there is none.
std::string v2_root() {
  for (const std::string& root : {std::string(kRoot), std::string(kRoot) + "/unified"})
    if (fs::exists(root + "/cgroup.controllers")) return root;
  return "";
}

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string each; words >> each;)
    if (each == word) return true;
  return false;
}

bool write_to(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  return file.good();
}

// Whether cgroups below the root of v2 have it, if need be from now on.
bool v2_gives(const std::string& root, const std::string& controller) {
  if (controller == "freezer") return !root.empty();  // has no controller there
  return has_word(read_file(root + "/cgroup.controllers"), controller) &&
         (has_word(read_file(root + "/cgroup.subtree_control"), controller) ||
          write_to(root + "/cgroup.subtree_control", "+" + controller));
}

}  // namespace

Cgroup::Cgroup(const std::string& controller, Version version) : controller_(controller) {
  const std::string v1 = std::string(kRoot) + '/' + controller;
  if (version != Version::v2 && fs::exists(v1 + "/tasks"))
    parent_ = v1;
  else if (version != Version::v1 && v2_gives(v2_root(), controller))
    parent_ = v2_root(), v2_ = true;
  else
    throw std::runtime_error("no cgroup here has " + controller);
  static int made = 0;
  name_ = "/loiter-test-" + std::to_string(getpid()) + '-' + std::to_string(++made);
  if (!fs::create_directory(parent_ + name_))
    throw std::runtime_error(parent_ + name_ + " cannot be made, or is there already");
}

Cgroup::~Cgroup() {
  if (controller_ == "freezer") thaw();
  std::istringstream pids(read_file(parent_ + name_ + "/cgroup.procs"));
  for (pid_t pid; pids >> pid;) give_back(pid);
  EXPECT_TRUE(await("the cgroup is empty and gone", [&] {
    return rmdir((parent_ + name_).c_str()) == 0 || errno == ENOENT;
  })) << strerror(errno);
}

bool Cgroup::is_there(const std::string& controller, Version version) {
  if (version == Version::v1) return fs::exists(std::string(kRoot) + '/' + controller + "/tasks");
  return v2_gives(v2_root(), controller);
}

void Cgroup::take(pid_t process) const {
  write("cgroup.procs", std::to_string(process));
}

void Cgroup::give_back(pid_t process) const {
  write_to(parent_ + "/cgroup.procs", std::to_string(process));  // it may have ended
}

void Cgroup::set_cpu(uint64_t quota_us, uint64_t period_us) const {
  if (v2_) return write("cpu.max", std::to_string(quota_us) + ' ' + std::to_string(period_us));
  write("cpu.cfs_period_us", std::to_string(period_us));
  write("cpu.cfs_quota_us", std::to_string(quota_us));
}

void Cgroup::set_most_threads(uint64_t count) const {
  write("pids.max", std::to_string(count));
}

void Cgroup::freeze() const {
  write(v2_ ? "cgroup.freeze" : "freezer.state", v2_ ? "1" : "FROZEN");
  EXPECT_TRUE(await("all in the cgroup are frozen", [&] {
    return v2_ ? read_file(parent_ + name_ + "/cgroup.events").find("frozen 1") != std::string::npos
               : read_file(parent_ + name_ + "/freezer.state") == "FROZEN\n";
  }));
}

void Cgroup::thaw() const {
  write(v2_ ? "cgroup.freeze" : "freezer.state", v2_ ? "0" : "THAWED");
}

void Cgroup::write(const std::string& file, const std::string& text) const {
  if (!write_to(parent_ + name_ + '/' + file, text))
    throw std::runtime_error("cannot write " + text + " to " + parent_ + name_ + '/' + file);
}

}  // namespace loiter::test
