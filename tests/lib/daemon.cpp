#include "tests/lib/daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "tests/lib/paths.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

std::vector<std::string> command_line(const std::string& socket, const std::string& state_dir,
                                      const std::vector<std::string>& args) {
  std::vector<std::string> argv{loiterd_path(), "--socket", socket};
  if (std::ranges::find(args, "--state-dir") == args.end())  // never the host's
    argv.insert(argv.end(), {"--state-dir", state_dir});
  argv.insert(argv.end(), args.begin(), args.end());
  return argv;
}

}  // namespace

TempDir::TempDir(const std::string& parent) : path_(parent + "/loiter-test-XXXXXX") {
  if (!mkdtemp(path_.data())) throw std::runtime_error("mkdtemp failed");
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string copy_for_everyone(const TempDir& dir, const std::string& program) {
  using std::filesystem::perms;
  std::filesystem::permissions(dir.path(), perms(0755));
  if (chown(dir.path().c_str(), kNobody, kNobody)) throw std::runtime_error("chown failed");
  const std::string copy = dir.file(std::filesystem::path(program).filename());
  std::filesystem::copy_file(program, copy);
  std::filesystem::permissions(copy, perms(0755));
  return copy;
}

Daemon::Daemon(const std::vector<std::string>& args, const SpawnOptions& options)
    : socket_(dir_.file("loiterd.sock")), process_(command_line(socket_, dir_.file("state"), args), options) {
  const auto answers = await("loiterd answers", [&] {
    if (!process_.alive())
      throw std::runtime_error("loiterd ended (" + to_string(*process_.wait()) + "): " + log());
    try {
      return http_get(socket_, "/v1/status?fresh=1").status == 200;
    } catch (const std::runtime_error&) {
      return false;  // no socket yet
    }
  });
  if (!answers) throw std::runtime_error(std::string(answers.message()) + "; its log: " + log());
}

Daemon::~Daemon() {
  stop();
}

nlohmann::json Daemon::get(const std::string& target) const {
  const HttpResponse response = request(target);
  if (response.status != 200)
    throw std::runtime_error(target + ": status " + std::to_string(response.status) + " " + response.body +
                             "; log: " + log());
  nlohmann::json document = nlohmann::json::parse(response.body);
  EXPECT_EQ(document.at("schema"), 1) << target;
  return document;
}

nlohmann::json Daemon::stacks(pid_t pid, pid_t tid, const std::string& more) const {
  return get("/v1/processes/" + std::to_string(pid) + "/stacks?fresh=1" +
             (tid ? "&tid=" + std::to_string(tid) : "") + more);
}

nlohmann::json Daemon::chains(pid_t pid, pid_t tid) const {
  return get("/v1/processes/" + std::to_string(pid) + "/chains?fresh=1" +
             (tid ? "&tid=" + std::to_string(tid) : ""));
}

void Daemon::stop() {
  if (!process_.alive()) return;
  std::map<pid_t, uint64_t> children;  // by when they began: their numbers may be in use again
  for (const pid_t child : children_of(pid()))
    if (const auto stat = thread_stat(child, child)) children[child] = stat->start_ticks;
  process_.signal(SIGTERM);
  const auto status = process_.wait();
  EXPECT_TRUE(status) << "loiterd lives on after SIGTERM; log: " << log();
  if (!status) return;
  EXPECT_EQ(to_string(*status), "exit 0") << log();
  EXPECT_FALSE(std::filesystem::exists(socket_)) << "its socket is left";
  for (const auto& [child, start_ticks] : children) {
    const auto stat = thread_stat(child, child);
    EXPECT_FALSE(stat && stat->start_ticks == start_ticks) << "process " << child << " is left";
  }
}

std::set<pid_t> tids(const nlohmann::json& threads) {
  std::set<pid_t> set;
  for (const auto& thread : threads) set.insert(thread.at("tid").get<pid_t>());
  return set;
}

nlohmann::json find_thread(const nlohmann::json& tree, pid_t tid, const std::string& list) {
  nlohmann::json found;
  for (const auto& thread : tree.at(list))
    if (thread.at("tid") == tid) {
      EXPECT_TRUE(found.is_null()) << "thread " << tid << " is listed twice in " << tree.dump();
      found = thread;
    }
  return found;
}

}  // namespace loiter::test
