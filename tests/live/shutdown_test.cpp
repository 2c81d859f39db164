// How loiterd comes and goes: its socket, its end, and what it leaves (nothing).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "daemon/base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

// Binds and goes away without unlinking: what a daemon that was killed leaves.
void leave_stale_socket(const std::string& path) {
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
}

bool answers(const std::string& socket) {
  try {
    return http_get(socket, "/v1/status").status == 200;
  } catch (const std::runtime_error&) {
    return false;
  }
}

TEST(Shutdown, ByEitherSignalIsClean) {
  for (int number : {SIGTERM, SIGINT}) {
    TempDir dir;
    Subprocess process({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"});
    ASSERT_TRUE(await("it answers", [&] { return answers(dir.file("s")); })) << process.stderr_text();
    process.signal(number);
    EXPECT_EQ(to_string(process.wait().value()), "exit 0") << process.stderr_text();
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  }
}

TEST(Shutdown, EndsStreamsAndRequestsUnderWay) {
  Daemon daemon;
  HttpConnection stream(daemon.socket()), silent(daemon.socket()), half(daemon.socket());
  stream.request("/v1/events");
  ASSERT_EQ(stream.read_head().status, 200);
  half.send("GET /v1/status HTT");
  daemon.stop();
  while (stream.read_line()) {
  }
  EXPECT_TRUE(stream.ended());
}

TEST(Shutdown, DuringACensusOfManyThreads) {
  Workload workload("storm");
  workload.command("keep 5000");
  for (int i = 0; i < 5; ++i) {
    Daemon daemon({"--interval", "100ms"});
    HttpConnection under_way(daemon.socket());
    under_way.request("/v1/processes?fresh=1");
    daemon.stop();
  }
}

TEST(Shutdown, BeforeTheFirstAnswer) {
  TempDir dir;
  for (int i = 0; i < 10; ++i) {
    Subprocess process({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"});
    ASSERT_TRUE(await("it has begun", [&] { return exe_of(process.pid()) == loiterd_path(); }));
    process.signal(SIGTERM);
    const ExitStatus status = process.wait().value();
    // Before it has its handlers the signal itself ends it.
    EXPECT_TRUE(status.code == 0 || status.signal == SIGTERM) << to_string(status) << process.stderr_text();
    EXPECT_FALSE(std::filesystem::exists(dir.file("s")));
  }
}

TEST(Socket, ASecondDaemonIsRefused) {
  Daemon daemon;
  const RunResult second = run({loiterd_path(), "--socket", daemon.socket(), "--history-keep", "0s"});
  EXPECT_EQ(to_string(second.status), "exit 3") << second.err;
  EXPECT_TRUE(is_one_line(second.err));
  EXPECT_EQ(daemon.request("/v1/status").status, 200) << "the first one goes on";
}

TEST(Socket, AStaleOneIsTakenOver) {
  TempDir dir;
  leave_stale_socket(dir.file("s"));
  Subprocess process({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"});
  EXPECT_TRUE(await("it answers", [&] { return answers(dir.file("s")); })) << process.stderr_text();
  process.signal(SIGTERM);
  EXPECT_EQ(to_string(process.wait().value()), "exit 0");
  EXPECT_FALSE(std::filesystem::exists(dir.file("s")));
}

TEST(Socket, OneLeftByAKilledDaemonIsTakenOver) {
  TempDir dir;
  Subprocess killed({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"});
  ASSERT_TRUE(await("it answers", [&] { return answers(dir.file("s")); })) << killed.stderr_text();
  killed.signal(SIGKILL);
  killed.wait();
  Subprocess next({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"});
  EXPECT_TRUE(await("it answers", [&] { return answers(dir.file("s")); })) << next.stderr_text();
  next.signal(SIGTERM);
  EXPECT_EQ(to_string(next.wait().value()), "exit 0");
}

TEST(Socket, AnyOtherFileIsLeftAlone) {
  TempDir dir;
  std::ofstream(dir.file("precious")) << "contents";
  const RunResult result = run({loiterd_path(), "--socket", dir.file("precious")});
  EXPECT_EQ(to_string(result.status), "exit 3") << result.err;
  EXPECT_TRUE(is_one_line(result.err));
  EXPECT_EQ(read_file(dir.file("precious")), "contents");
}

TEST(Socket, ADirectoryThatCannotBeIsToldOf) {
  TempDir dir;
  std::ofstream(dir.file("file")) << "no directory";
  const RunResult result = run({loiterd_path(), "--socket", dir.file("file/s")});
  EXPECT_EQ(to_string(result.status), "exit 3") << result.err;
  EXPECT_TRUE(is_one_line(result.err));
}

TEST(Socket, APathTooLongIsToldOf) {
  const RunResult result = run({loiterd_path(), "--socket", "/tmp/" + std::string(200, 'x')});
  EXPECT_TRUE(result.status.code == 2 || result.status.code == 3) << to_string(result.status) << result.err;
  EXPECT_TRUE(is_one_line(result.err));
}

TEST(Socket, IsNotForEveryone) {
  Daemon daemon;
  const auto mode = std::filesystem::status(daemon.socket()).permissions();
  EXPECT_EQ(static_cast<unsigned>(mode), 0660u);
}

TEST(Options, ThatAreWrongAreUsageErrors) {
  TempDir dir;
  const std::vector<std::vector<std::string>> wrong = {
      {"--threshold", "5"},  {"--threshold", "fast"},   {"--threshold", "-1s"}, {"--interval", "0s"},
      {"--ring-size", "-1"}, {"--tracepoints", "none"}, {"--no-such-option"},   {"--max-threads", "many"},
  };
  for (const auto& options : wrong) {
    std::vector<std::string> argv{loiterd_path(), "--socket", dir.file("s"), "--state-dir",
                                  dir.file("state")};
    argv.insert(argv.end(), options.begin(), options.end());
    const RunResult result = run(argv);
    EXPECT_EQ(to_string(result.status), "exit 2")
        << options[0] << " " << options.back() << ": " << result.err;
    EXPECT_TRUE(is_one_line(result.err));
    EXPECT_FALSE(std::filesystem::exists(dir.file("s")));
  }
}

}  // namespace
}  // namespace loiter::test
