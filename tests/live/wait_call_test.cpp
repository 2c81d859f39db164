// What blocked threads wait for, read of the kernel: by the registers of a census, against workloads that
// know.
#include "daemon/inspect/wait_call.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/sensors/census_reader.h"
#include "tests/lib/await.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

class WaitCalls : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = CensusReader::open({});
    ASSERT_TRUE(opened) << opened.error().message;
    reader_ = std::move(*opened);
  }

  const loiter_thread* read(pid_t tid) {
    const Status status = reader_->read(census_);
    if (!status) ADD_FAILURE() << status.error().message;
    for (const loiter_thread& thread : census_.threads)
      if (thread.id.tid == static_cast<uint32_t>(tid)) return &thread;
    return nullptr;
  }

  std::unique_ptr<CensusReader> reader_;
  Census census_;
};

TEST_F(WaitCalls, AreToldOfEveryWayToBlock) {
  const std::map<std::string, WaitKind> kinds = {
      {"futex", WaitKind::futex},    {"mutex", WaitKind::futex},   {"pipe", WaitKind::read},
      {"poll", WaitKind::poll},      {"epoll", WaitKind::poll},    {"nanosleep", WaitKind::sleep},
      {"sigwait", WaitKind::signal}, {"accept", WaitKind::accept}, {"flock", WaitKind::file_lock},
      {"wait", WaitKind::wait_child}};
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds) names.push_back(name);
  Workload workload("blocker", names);
  for (const auto& fact : workload.facts()) {
    const loiter_thread* thread = read(fact.at("tid"));
    ASSERT_TRUE(thread) << fact;
    const WaitCall call = wait_call_of(*thread);
    const std::string name = fact.at("kind");
    EXPECT_EQ(call.kind, kinds.at(name)) << name;
    const bool bounded = name == "nanosleep";
    EXPECT_EQ(call.timeout.address != 0, bounded) << name;
    if (name == "wait") {
      EXPECT_EQ(call.child->which, ChildWish::Which::pid);
    }
    if (name == "accept" || name == "pipe" || name == "epoll" || name == "flock") {
      EXPECT_GE(call.fd, 0) << name;
    }
  }
}

// vfork and clone3 with CLONE_VFORK alike: the state of the sleeper is what tells.
TEST_F(WaitCalls, AParentInVforkIsToldByItsState) {
  const pid_t parent = fork();
  if (parent == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (vfork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (true) pause();
    }
    _exit(0);
  }
  constexpr uint32_t kKillableFreezable = 0x2 | 0x100 | 0x2000;
  uint32_t state = 0;
  EXPECT_TRUE(await("it waits in vfork", [&] {
    const loiter_thread* thread = read(parent);
    if (thread) state = thread->state;
    return thread && wait_call_of(*thread).kind == WaitKind::vfork && state != 0;
  }));
  EXPECT_EQ(state & kKillableFreezable, kKillableFreezable) << "what clone3 is told by";
  for (pid_t child : children_of(parent)) kill(child, SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(parent, &status, 0), parent);
}

TEST_F(WaitCalls, AStoppedProcessIsStopped) {
  Workload workload("blocker", {"pipe"});
  workload.process().signal(SIGSTOP);
  const pid_t tid = workload.facts().front().at("tid");
  EXPECT_TRUE(await("it is stopped", [&] {
    const loiter_thread* thread = read(tid);
    return thread && wait_call_of(*thread).kind == WaitKind::stopped;
  }));
  workload.process().signal(SIGCONT);
}

}  // namespace
}  // namespace loiter::test
