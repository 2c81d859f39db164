// A loiterd of a test's own: on a socket in a new directory under /tmp, with nothing shared with any other.
//
// Used by the thread that started it. Where it does not start, or answers what it must not, the test ends by
// an exception that holds its log. When it goes, it is ended by SIGTERM and held to leave nothing behind.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/lib/http.h"
#include "tests/lib/subprocess.h"

namespace loiter::test {

// A directory under /tmp, removed with all in it.
class TempDir {
 public:
  explicit TempDir(const std::string& parent = "/tmp");
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

constexpr uid_t kNobody = 65534;

// A copy of a program in `dir`, which becomes nobody's and where anybody may execute it: the checkout may be
// out of others' reach.
std::string copy_for_everyone(const TempDir& dir, const std::string& program);

class Daemon {
 public:
  // Returns when it answers from its first census.
  explicit Daemon(const std::vector<std::string>& args = {}, const SpawnOptions& options = {});
  ~Daemon();  // stops it, see stop()

  pid_t pid() const { return process_.pid(); }
  Subprocess& process() { return process_; }
  const std::string& socket() const { return socket_; }
  std::string log() const { return process_.stderr_text(); }

  HttpResponse request(const std::string& target) const { return http_get(socket_, target); }
  nlohmann::json get(const std::string& target) const;  // which must be 200 and of schema 1

  // From a census that began after the call.
  nlohmann::json status() const { return get("/v1/status?fresh=1"); }
  nlohmann::json tree(pid_t pid) const { return get("/v1/processes/" + std::to_string(pid) + "?fresh=1"); }

  // What it sees inside a process, of one thread or (tid 0) of all.
  nlohmann::json stacks(pid_t pid, pid_t tid = 0, const std::string& more = "") const;
  nlohmann::json chains(pid_t pid, pid_t tid = 0) const;

  // SIGTERM; fails the test unless it ends with 0 and leaves neither its socket nor a process.
  void stop();

 private:
  TempDir dir_;
  std::string socket_;
  Subprocess process_;
};

// The tids in a list of threads.
std::set<pid_t> tids(const nlohmann::json& threads);

// Of a tree document: the thread `tid` in the list `list`; null where there is none. Fails on two.
nlohmann::json find_thread(const nlohmann::json& tree, pid_t tid, const std::string& list = "threads");

}  // namespace loiter::test
