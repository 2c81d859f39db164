// Targets that harm whoever looks inside them: the daemon goes on, says what it could not read, and leaves
// them alone.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "daemon/inspect/opener.h"
#include "tests/lib/await.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// A page that userfaultfd never fills: whoever reads it hangs.
TEST(Hostile, MemoryThatHangsCostsTheOpenerAndNobodyElse) {
  Workload workload("unreadable");
  const pid_t tid = Workload::the(workload.facts(), "thread").at("tid");
  ASSERT_TRUE(await("it sleeps", [&] {
    const std::string call =
        read_file("/proc/" + std::to_string(workload.pid()) + "/task/" + std::to_string(tid) + "/syscall");
    return call.starts_with(std::to_string(SYS_clock_nanosleep) + " ");
  }));
  workload.command("go");
  Workload healthy("blocker", {"mutex"});
  Daemon daemon;
  const json hung = daemon.tree(workload.pid());
  EXPECT_EQ(find_thread(hung, tid).at("state"), "sleeping") << hung;
  EXPECT_NE(daemon.log().find("opener"), std::string::npos) << daemon.log();
  const json tree = daemon.tree(healthy.pid());
  for (const json& fact : healthy.facts())
    EXPECT_FALSE(find_thread(tree, fact.at("tid")).at("wait").is_null()) << tree;
  // It is not tried again at once.
  const json stacks = daemon.stacks(workload.pid());
  EXPECT_NE(stacks.at("failure").dump().find("hung"), std::string::npos) << stacks;
  EXPECT_EQ(find_thread(stacks, tid).at("wait").at("kind"), "sleep") << stacks;
}

TEST(Hostile, AnEndOfTheDaemonDoesNotWaitForWhatHangs) {
  Workload workload("unreadable");
  workload.command("go");
  Daemon daemon;
  HttpConnection asker(daemon.socket());
  asker.request("/v1/processes/" + std::to_string(workload.pid()) + "/stacks");
  ASSERT_TRUE(await("somebody looks", [&] { return !children_of(daemon.pid()).empty(); }));
  daemon.stop();
}

// Its file loses its code under it: the parser is killed by SIGBUS, whatever it had of other files.
TEST(Hostile, ATruncatedProgramCostsTheParserAndNobodyElse) {
  TempDir dir;
  const std::string copy = dir.file("blocker");
  std::filesystem::copy_file(workload_path("blocker"), copy);
  SpawnOptions options;
  options.stdout_to_memory = true;
  // By the loader: a program that was executed itself cannot be truncated, a library can.
  const std::string loader = std::filesystem::exists("/lib64/ld-linux-x86-64.so.2")
                                 ? "/lib64/ld-linux-x86-64.so.2"
                                 : "/lib/ld-linux-aarch64.so.1";
  Subprocess victim({loader, copy, "mutex", "poll"}, options);
  ASSERT_TRUE(await("it is ready", [&] { return victim.stdout_text().find("ready") != std::string::npos; }));
  Workload healthy("blocker", {"mutex"});
  Daemon daemon;
  std::filesystem::resize_file(copy, 4096);
  const json stacks = daemon.stacks(victim.pid());
  EXPECT_FALSE(stacks.at("threads").empty());
  const json others = daemon.stacks(healthy.pid());
  for (const json& fact : healthy.facts())
    EXPECT_TRUE(find_thread(others, fact.at("tid")).at("cut").is_null()) << others;
}

TEST(Hostile, APerfMapThatIsAFifoIsNotRead) {
  Workload workload("blocker", {"poll"});
  const std::string map = "/tmp/perf-" + std::to_string(workload.pid()) + ".map";
  ASSERT_EQ(mkfifo(map.c_str(), 0600), 0);
  Daemon daemon;
  const json stacks = daemon.stacks(workload.pid());
  unlink(map.c_str());
  const json thread = find_thread(stacks, workload.facts().front().at("tid"));
  EXPECT_FALSE(thread.at("stack").empty()) << thread;
  EXPECT_EQ(daemon.log().find("opener"), std::string::npos) << daemon.log();
}

// Of this process: the same root directory, but paths below it are those of the target's world.
class InRoot : public ::testing::Test {
 protected:
  InRoot() : memory_(std::move(*SharedMemory::make())), opener_(memory_, never_) {}

  Result<Fd> open(const std::string& path) {
    return opener_.open_file({FileToOpen::Kind::in_root, static_cast<uint32_t>(getpid()), path});
  }

  std::atomic<bool> never_ = false;
  SharedMemory memory_;
  Opener opener_;
  TempDir dir_;
};

TEST_F(InRoot, OnlyRegularFilesAreOpened) {
  std::ofstream(dir_.file("file")) << "text";
  mkfifo(dir_.file("fifo").c_str(), 0600);
  EXPECT_TRUE(open(dir_.file("file")));
  EXPECT_FALSE(open(dir_.file("fifo")));
  EXPECT_FALSE(open(dir_.path()));
  EXPECT_FALSE(open("/dev/null"));
  EXPECT_FALSE(open(dir_.file("none")));
  EXPECT_EQ(opener_.restarts(), 0u);
}

TEST_F(InRoot, MagicLinksLeadNowhere) {
  const std::string self = "/proc/" + std::to_string(getpid()) + "/exe";
  EXPECT_FALSE(open(self));
  EXPECT_EQ(symlink(self.c_str(), dir_.file("link").c_str()), 0);
  EXPECT_FALSE(open(dir_.file("link")));
}

// A container whose /secret is another file than the host's: its links stay within it.
TEST_F(InRoot, LinksStayWithinTheTargetsRoot) {
  std::ofstream(dir_.file("secret")) << "the container's";
  std::filesystem::create_symlink("/../../../../../secret", dir_.file("link"));
  std::filesystem::create_symlink(dir_.file("outside"), dir_.file("out"));
  std::ofstream(dir_.file("outside")) << "the host's";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool good = chroot(dir_.path().c_str()) == 0 && chdir("/") == 0;
    [[maybe_unused]] const ssize_t size = write(ready[1], good ? "y" : "n", 1);
    while (true) pause();
  }
  char answer = 'n';
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto inside = opener_.open_file({FileToOpen::Kind::in_root, static_cast<uint32_t>(child), "/link"});
  ASSERT_TRUE(inside) << inside.error().message;
  char text[64] = {};
  ASSERT_GT(read(inside->get(), text, sizeof(text) - 1), 0);
  EXPECT_STREQ(text, "the container's");
  EXPECT_FALSE(opener_.open_file({FileToOpen::Kind::in_root, static_cast<uint32_t>(child), "/out"}));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace loiter::test
