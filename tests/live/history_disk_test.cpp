// The history without a service, on a disk that cannot be written to, and on one that hangs: what is asked
// gets an answer, what is found is told, and what is missing is said.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>

#include "tests/lib/await.h"
#include "tests/lib/corpus.h"
#include "tests/lib/daemon.h"
#include "tests/lib/history.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

using nlohmann::json;

class HistoryDisk : public ::testing::Test {
 protected:
  static ::testing::AssertionResult await_state(const Daemon& daemon, const std::string& state) {
    return await("the history is " + state, [&] { return history_status(daemon).at("state") == state; });
  }

  static ::testing::AssertionResult await_found(const Daemon& daemon, pid_t pid) {
    json findings;
    return test::await_found(daemon, pid, findings);
  }

  static std::string doctor(const Daemon& daemon) {
    return run({loiter_path(), "--socket", daemon.socket(), "doctor"}).out;
  }

  static size_t times_said(const Daemon& daemon, const std::string& text) {
    const std::string log = daemon.log();
    size_t times = 0;
    for (size_t at = log.find(text); at != log.npos; at = log.find(text, at + 1)) ++times;
    return times;
  }
};

// --- no service ------------------------------------------------------------------------------------------

// `loiter history` on a host where no loiterd runs, with `state` (empty: nothing) as /var/lib/loiter.
RunResult without_service(const std::string& state, const std::string& arguments) {
  const std::string place =
      state.empty() ? "" : "mkdir /var/lib/loiter && mount --bind '" + state + "' /var/lib/loiter && ";
  return run({"/usr/bin/unshare", "--mount", "/bin/sh", "-ec",
              "mount -t tmpfs none /run; mount -t tmpfs none /var/lib; " + place + "exec '" + loiter_path() +
                  "' history " + arguments});
}

TEST_F(HistoryDisk, WithoutAServiceThereIsOneLineThatSaysWhatToDo) {
  const RunResult none = without_service("", "");
  EXPECT_EQ(none.status.code, 3);
  EXPECT_EQ(none.out, "");
  EXPECT_TRUE(is_one_line(none.err)) << none.err;
  for (const char* text : {"no loiterd runs", "no history in /var/lib/loiter", "start loiterd"})
    EXPECT_NE(none.err.find(text), std::string::npos) << text << " is not in " << none.err;
}

TEST_F(HistoryDisk, WithoutAServiceWhatOneLeftIsTold) {
  TempDir dir;
  const auto program = start_corpus("order_two");
  {
    const auto daemon = daemon_on(dir.file("state"));
    ASSERT_TRUE(await_found(*daemon, program->pid()));
    ASSERT_TRUE(await("it is written", [&] { return history_status(*daemon).at("findings_written") > 0; }));
  }
  const RunResult told = without_service(dir.file("state"), std::to_string(program->pid()));
  EXPECT_EQ(told.status.code, 0) << told.err;
  EXPECT_NE(told.out.find("critical deadlock"), std::string::npos) << told.out;
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(dir.file("state")))
    files.insert(entry.path().filename());
  EXPECT_EQ(files, std::set<std::string>{"history.db"}) << "a private daemon writes nothing there";
}

// --- a file system that is read-only ---------------------------------------------------------------------

TEST_F(HistoryDisk, AReadOnlyOneIsSaidOnceAndReadAllTheSame) {
  RamDisk disk("8m");
  const auto program = start_corpus("order_two");
  const std::string of_it = "/v1/history?pid=" + std::to_string(program->pid());
  {
    const auto daemon = daemon_on(disk.file("state"));
    ASSERT_TRUE(await_found(*daemon, program->pid()));
    ASSERT_TRUE(await("it is written", [&] { return history_status(*daemon).at("findings_written") > 0; }));
  }
  disk.make_writable(false);
  const auto daemon = daemon_on(disk.file("state"));
  ASSERT_TRUE(
      await("it has been tried again", [&] { return history_status(*daemon).at("failed_writes") >= 2; }));
  const json status = history_status(*daemon);
  EXPECT_EQ(status.at("state"), "failing");
  const std::string failure = status.at("failure");
  EXPECT_NE(failure.find("Read-only file system"), std::string::npos) << failure;
  EXPECT_NE(failure.find("--state-dir"), std::string::npos) << failure;
  EXPECT_EQ(times_said(*daemon, "no history is written"), 1u) << daemon->log();
  EXPECT_NE(doctor(*daemon).find("Read-only file system"), std::string::npos) << doctor(*daemon);
  EXPECT_TRUE(await_found(*daemon, program->pid()));
  EXPECT_EQ(daemon->get(of_it).at("findings").size(), 1u) << "what is there can be read";

  disk.make_writable(true);
  ASSERT_TRUE(await_state(*daemon, "writing"));
  EXPECT_EQ(history_status(*daemon).at("set_aside"), json::array());
  EXPECT_EQ(times_said(*daemon, "the history is written again"), 1u) << daemon->log();
}

TEST_F(HistoryDisk, AReadOnlyOneWithoutAHistoryIsSaid) {
  RamDisk disk("8m");
  disk.make_writable(false);
  const auto program = start_corpus("order_two");
  const auto daemon = daemon_on(disk.file("state"));
  ASSERT_TRUE(await_state(*daemon, "failing"));
  EXPECT_NE(history_status(*daemon).at("failure").get<std::string>().find("Read-only file system"),
            std::string::npos)
      << history_status(*daemon);
  EXPECT_TRUE(await_found(*daemon, program->pid()));
  EXPECT_EQ(daemon->request("/v1/history").status, 503u);
}

// --- a disk that hangs -----------------------------------------------------------------------------------

// An ext4 on a loop device, which can be frozen: who writes to it then sleeps uninterruptibly. Whatever ends
// this program, it is thawed and unmounted by a shell that does nothing else.
class FreezableDisk {
 public:
  // False: this machine has no loop devices, or no ext4.
  bool make() {
    const std::string image = dir_.file("image"), place = dir_.file("disk");
    std::filesystem::create_directory(place);
    if (run({"/bin/sh", "-ec", "truncate -s 32M '" + image + "' && mke2fs -q -F -t ext4 '" + image + "'"})
            .status.code != 0)
      return false;
    if (run({"/usr/bin/mount", "-o", "loop", image, place}).status.code != 0) return false;
    guard_.emplace(std::vector<std::string>{
        "/bin/sh", "-c",
        "exec 3<&0; (trap '' HUP INT TERM; read -r _ <&3; fsfreeze --unfreeze \"$0\" 2>/dev/null;"
        " umount --lazy \"$0\") & wait",
        place});
    return true;
  }
  ~FreezableDisk() {
    if (!guard_) return;
    guard_->close_stdin();
    EXPECT_TRUE(guard_->wait());
  }
  std::string file(const std::string& name) const { return dir_.file("disk/" + name); }
  void freeze() const { change("--freeze"); }
  void thaw() const { change("--unfreeze"); }

 private:
  void change(const std::string& how) const {
    const RunResult result = run({"/usr/sbin/fsfreeze", how, dir_.file("disk")});
    if (result.status.code != 0) throw std::runtime_error("fsfreeze: " + result.err);
  }

  TempDir dir_;
  std::optional<Subprocess> guard_;
};

TEST_F(HistoryDisk, OneThatHangsDelaysNobodyElse) {
  FreezableDisk disk;
  if (!disk.make()) GTEST_SKIP() << "no ext4 on a loop device here";
  const auto daemon = daemon_on(disk.file("state"));
  ASSERT_TRUE(await("it writes", [&] { return history_status(*daemon).at("counts_written") > 0; }));
  disk.freeze();
  const auto program = start_corpus("order_two");
  ASSERT_TRUE(await_found(*daemon, program->pid()));
  const uint64_t passes = daemon->status().at("census").at("passes");
  ASSERT_TRUE(await("censuses go on", [&] {
    return daemon->get("/v1/status").at("census").at("passes").get<uint64_t>() >= passes + 3;
  }));
  // Told by whom it holds up for ten seconds, dropped when no more fits.
  ASSERT_TRUE(await_state(*daemon, "failing"));
  const std::string failure = history_status(*daemon).at("failure");
  EXPECT_NE(failure.find("has not answered"), std::string::npos) << failure;
  EXPECT_NE(doctor(*daemon).find("has not answered"), std::string::npos) << doctor(*daemon);
  ASSERT_TRUE(
      await("what is dropped is counted", [&] { return history_status(*daemon).at("dropped_periods") > 0; }));
  EXPECT_EQ(times_said(*daemon, "has not answered"), 1u) << daemon->log();
  const unsigned asked = daemon->request("/v1/history").status;  // reading may hang as well
  EXPECT_TRUE(asked == 200 || asked == 503) << asked;

  disk.thaw();
  ASSERT_TRUE(await_state(*daemon, "writing"));
  ASSERT_TRUE(await("what was found meanwhile is written",
                    [&] { return history_status(*daemon).at("findings_written") > 0; }));
  EXPECT_EQ(history_status(*daemon).at("failed_writes"), 0);
}

// A thread at a frozen disk cannot end, and nor can its process: all but that is done by then.
TEST_F(HistoryDisk, OneThatHangsHoldsUpNoEnd) {
  FreezableDisk disk;
  if (!disk.make()) GTEST_SKIP() << "no ext4 on a loop device here";
  const auto daemon = daemon_on(disk.file("state"));
  ASSERT_TRUE(await("it writes", [&] { return history_status(*daemon).at("counts_written") > 0; }));
  disk.freeze();
  const pid_t pid = daemon->pid();
  ASSERT_TRUE(await("its thread is at the disk", [&] {
    for (const pid_t tid : threads_of(pid))
      if (const auto stat = thread_stat(pid, tid); stat && stat->comm == "history" && stat->state == 'D')
        return true;
    return false;
  }));
  daemon->process().signal(SIGTERM);
  ASSERT_TRUE(await("its main thread has ended", [&] {
    const auto stat = thread_stat(pid, pid);
    return !stat || stat->state == 'Z';
  })) << daemon->log();
  EXPECT_FALSE(std::filesystem::exists(daemon->socket()));
  EXPECT_NE(daemon->log().find("hangs: the last of the history is not written"), std::string::npos)
      << daemon->log();
  disk.thaw();
  const auto status = daemon->process().wait();
  ASSERT_TRUE(status);
  EXPECT_EQ(to_string(*status), "exit 0") << daemon->log();
}

}  // namespace
}  // namespace loiter::test
