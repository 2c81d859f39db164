// The client against servers that are loiterd, that are not, and that are not there.
#include "cli/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/private_daemon.h"
#include "tests/lib/await.h"
#include "tests/unit/cli_unix_server.h"

namespace loiter {
namespace {

using std::chrono::milliseconds;
using test::send_bytes;
using test::send_json;
using test::send_response;
using test::UnixServer;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kStatus = R"({"schema": 1, "version": "0.1.0"})";

// What a client's first request gets is /v1/status; `rest` answers the others.
UnixServer::Handler after_status(UnixServer::Handler rest) {
  return [rest](int connection, const std::string& target) {
    if (target == "/v1/status")
      send_json(connection, kStatus);
    else
      rest(connection, target);
  };
}

Result<std::unique_ptr<Client>> connect_at(const std::string& path,
                                           milliseconds first_answer = test::kPatience) {
  ConnectOptions options;
  options.socket_path = path;
  options.first_answer = first_answer;
  return connect_to_daemon(options);
}

std::unique_ptr<Client> connected(const UnixServer& server) {
  auto client = connect_at(server.path());
  if (!client) throw std::runtime_error(client.error().message);
  return std::move(*client);
}

// The error of connecting to a server that answers everything with `bytes`.
std::string refusal_of(const std::string& bytes) {
  UnixServer server([&](int connection, const std::string&) { send_bytes(connection, bytes); });
  auto client = connect_at(server.path());
  EXPECT_FALSE(client);
  if (client) return "";
  EXPECT_EQ(client.error().kind, Error::Kind::unavailable);
  return client.error().message;
}

TEST(Client, GetsADocument) {
  UnixServer server(after_status([](int connection, const std::string& target) {
    send_json(connection, R"({"schema": 1, "target": ")" + target + R"("})");
  }));
  auto client = connected(server);
  auto document = client->get("/v1/scan?fresh=1&pid=7");
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ((*document)["target"], "/v1/scan?fresh=1&pid=7");
  EXPECT_FALSE(client->is_private());
}

TEST(Client, GetsALargeDocumentWhole) {
  const std::string filling(8 << 20, 'x');
  UnixServer server(after_status([&](int connection, const std::string&) {
    send_json(connection, R"({"schema": 1, "filling": ")" + filling + R"("})");
  }));
  auto document = connected(server)->get("/v1/processes");
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ((*document)["filling"].get<std::string>(), filling);
}

TEST(Client, ProxiesOfTheEnvironmentAreNotUsed) {
  setenv("http_proxy", "http://127.0.0.1:9", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
  UnixServer server(after_status([](int, const std::string&) {}));
  auto client = connect_at(server.path());
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  EXPECT_TRUE(client) << client.error().message;
}

TEST(Client, NoSuchSocketGiven) {
  test::TempDir dir;
  auto client = connect_at(dir.file("none"));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Error::Kind::unavailable);
  EXPECT_THAT(client.error().message, HasSubstr("no daemon at " + dir.file("none")));
}

TEST(Client, StaleSocketGiven) {
  test::TempDir dir;
  test::leave_stale_socket(dir.file("stale"));
  auto client = connect_at(dir.file("stale"));
  ASSERT_FALSE(client);
  EXPECT_THAT(client.error().message, HasSubstr("nobody listens"));
}

TEST(Client, PathTooLongForASocket) {
  auto client = connect_at("/tmp/" + std::string(200, 'x'));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().kind, Error::Kind::unavailable);
}

TEST(Client, ForbiddenSocketSaysWhatToDo) {
  UnixServer server(after_status([](int, const std::string&) {}));
  chmod(server.path().c_str(), 0600);
  const std::string directory = server.path().substr(0, server.path().rfind('/'));
  chmod(directory.c_str(), geteuid() == 0 ? 0755 : 0000);
  int out[2];
  ASSERT_EQ(pipe(out), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534)) _exit(9);
    ConnectOptions options;
    options.default_socket = server.path();  // where it refuses, no private daemon may be started either
    options.loiterd = "/bin/false";
    auto client = connect_to_daemon(options);
    const std::string text = client ? "connected" : client.error().message;
    _exit(write(out[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 8);
  }
  close(out[1]);
  std::string said(4096, '\0');
  said.resize(static_cast<size_t>(std::max<ssize_t>(read(out[0], said.data(), said.size()), 0)));
  close(out[0]);
  int status = 0;
  waitpid(child, &status, 0);
  chmod(directory.c_str(), 0700);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(said, HasSubstr("refuses you"));
  EXPECT_THAT(said, HasSubstr("group loiter"));
}

TEST(Client, AServerThatSpeaksAnotherProtocol) {
  EXPECT_THAT(refusal_of("SSH-2.0-OpenSSH_9.2p1\r\n"), HasSubstr("does not answer"));
}

TEST(Client, AServerThatClosesWithoutAWord) {
  EXPECT_THAT(refusal_of(""), HasSubstr("does not answer"));
}

TEST(Client, AServerThatIsAnotherOne) {
  EXPECT_THAT(refusal_of("HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n<html>no</html>"),
              HasSubstr("is no loiterd"));
  EXPECT_THAT(refusal_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"), HasSubstr("is no loiterd"));
  EXPECT_THAT(refusal_of("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"daemon\": 1}"),
              HasSubstr("is no loiterd"));
}

TEST(Client, RedirectsAreNotFollowed) {
  std::vector<std::string> targets;
  UnixServer server([&](int connection, const std::string& target) {
    targets.push_back(target);
    send_bytes(connection,
               "HTTP/1.1 302 Found\r\nLocation: http://localhost/elsewhere\r\nContent-Length: 0\r\n\r\n");
  });
  EXPECT_FALSE(connect_at(server.path()));
  EXPECT_THAT(targets, ::testing::ElementsAre("/v1/status"));
}

TEST(Client, AServerOfAnotherSchema) {
  EXPECT_THAT(refusal_of("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"schema\": 2}"),
              HasSubstr("schema 2"));
}

TEST(Client, AServerThatNeverAnswersIsGivenUp) {
  UnixServer server([](int connection, const std::string&) { test::wait_for_close(connection); });
  auto client = connect_at(server.path(), milliseconds(100));
  ASSERT_FALSE(client);
  EXPECT_THAT(client.error().message, HasSubstr("no answer in time"));
}

TEST(Client, ABusyServerMayTakeLongOnceItIsKnown) {
  UnixServer server(after_status([](int connection, const std::string&) {
    std::this_thread::sleep_for(milliseconds(300));
    send_json(connection, kStatus);
  }));
  auto client = connect_at(server.path(), milliseconds(100));
  ASSERT_TRUE(client) << client.error().message;
  EXPECT_TRUE((*client)->get("/v1/processes"));
}

TEST(Client, AServerThatClosesHalfWay) {
  UnixServer server(after_status([](int connection, const std::string&) {
    send_bytes(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"schema\": 1, ");
  }));
  auto client = connected(server);
  auto document = client->get("/v1/processes");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().kind, Error::Kind::unavailable);
  EXPECT_THAT(document.error().message, HasSubstr("does not answer"));
}

TEST(Client, ErrorDocumentsBecomeErrors) {
  UnixServer server(after_status([](int connection, const std::string& target) {
    if (target == "/v1/processes/1")
      send_response(
          connection, "404 Not Found",
          R"({"schema": 1, "error": {"code": "no_such_process", "message": "there is no process 1"}})");
    else if (target == "/v1/bad")
      send_response(connection, "400 Bad Request",
                    R"({"schema": 1, "error": {"code": "bad_request", "message": "nonsense"}})");
    else
      send_response(connection, "500 Internal Server Error", R"({"schema": 1, "error": "no object"})");
  }));
  auto client = connected(server);
  auto missing = client->get("/v1/processes/1");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, Error::Kind::unavailable);
  EXPECT_EQ(missing.error().message, "there is no process 1");
  auto bad = client->get("/v1/bad");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, Error::Kind::usage);
  auto broken = client->get("/v1/other");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr("500"));
}

TEST(Client, ADaemonThatIsNotReadyYetIsAskedAgain) {
  int asked = 0;
  UnixServer server([&](int connection, const std::string&) {
    if (++asked < 3)
      send_response(connection, "503 Service Unavailable",
                    R"({"schema": 1, "error": {"code": "not_ready", "message": "no census yet"}})");
    else
      send_json(connection, kStatus);
  });
  auto client = connect_at(server.path());
  EXPECT_TRUE(client) << client.error().message;
  EXPECT_EQ(asked, 3);
}

// --- streams ---------------------------------------------------------------------------------------

const std::string kStreamHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string chunk(const std::string& text) {
  char size[16];
  snprintf(size, sizeof(size), "%zx\r\n", text.size());
  return size + text + "\r\n";
}

TEST(ClientStream, GivesWholeLinesHoweverTheyAreCut) {
  UnixServer server(after_status([](int connection, const std::string&) {
    send_bytes(connection, kStreamHead + chunk("on") + chunk("e\ntwo\n\nth") + chunk("ree\nfour\n"));
    test::wait_for_close(connection);
  }));
  std::vector<std::string> lines;
  Status streamed = connected(server)->stream("/v1/events", [&](std::string_view line) {
    lines.emplace_back(line);
    return lines.size() < 3;
  });
  EXPECT_TRUE(streamed) << streamed.error().message;
  EXPECT_THAT(lines, ::testing::ElementsAre("one", "two", "three"));
}

TEST(ClientStream, TheDaemonsEndIsAnError) {
  UnixServer server(after_status([](int connection, const std::string&) {
    send_bytes(connection, kStreamHead + chunk("one\n") + "0\r\n\r\n");
  }));
  int lines = 0;
  Status streamed = connected(server)->stream("/v1/events", [&](std::string_view) { return ++lines > 0; });
  EXPECT_FALSE(streamed);
  EXPECT_EQ(lines, 1);
}

TEST(ClientStream, ErrorDocumentsAreNoLines) {
  UnixServer server(after_status([](int connection, const std::string&) {
    send_response(connection, "503 Service Unavailable",
                  R"({"schema": 1, "error": {"code": "busy", "message": "too many streams"}})");
  }));
  Status streamed = connected(server)->stream("/v1/events", [](std::string_view) -> bool {
    ADD_FAILURE() << "a line";
    return true;
  });
  ASSERT_FALSE(streamed);
  EXPECT_EQ(streamed.error().message, "too many streams");
}

TEST(ClientStream, CancelEndsItFromAnotherThread) {
  UnixServer server(after_status([](int connection, const std::string&) {
    send_bytes(connection, kStreamHead + chunk("one\n"));
    test::wait_for_close(connection);
  }));
  auto client = connected(server);
  std::thread canceller;
  Status streamed = client->stream("/v1/events", [&](std::string_view) {
    canceller = std::thread([&] { client->cancel(); });
    return true;
  });
  canceller.join();
  EXPECT_TRUE(streamed) << streamed.error().message;
  EXPECT_FALSE(client->get("/v1/status")) << "cancelled for good";
}

TEST(ClientStream, CancelEndsAGetThatHangs) {
  UnixServer server(
      after_status([](int connection, const std::string&) { test::wait_for_close(connection); }));
  auto client = connected(server);
  std::thread canceller([&] { client->cancel(); });
  auto document = client->get("/v1/processes");
  canceller.join();
  EXPECT_FALSE(document);
}

// --- the private daemon ----------------------------------------------------------------------------

std::string make_program(const test::TempDir& dir, const std::string& script) {
  const std::string path = dir.file("loiterd");
  std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
  chmod(path.c_str(), 0755);
  return path;
}

// Why no client comes of a private daemon that is this script.
Error failure_of(const std::string& script, std::vector<std::string> args = {}) {
  test::TempDir dir;
  ConnectOptions options;
  options.default_socket = dir.file("none");
  options.daemon_args = std::move(args);
  options.loiterd = make_program(dir, script);
  auto client = connect_to_daemon(options);
  EXPECT_FALSE(client);
  return client ? Error{} : client.error();
}

TEST(PrivateDaemon, ItsReasonAndItsExitCodeAreOurs) {
  const Error error =
      failure_of("echo a warning >&2; echo 'loiterd: no privilege: CAP_BPF missing' >&2; exit 3");
  EXPECT_EQ(error.kind, Error::Kind::unavailable);
  EXPECT_EQ(error.message, "no privilege: CAP_BPF missing");
  EXPECT_EQ(failure_of("echo 'loiterd: wrong option' >&2; exit 2").kind, Error::Kind::usage);
}

TEST(PrivateDaemon, ItsSilentEndIsExplained) {
  EXPECT_THAT(failure_of("exit 7").message, HasSubstr("exit code 7"));
  EXPECT_THAT(failure_of("kill -SEGV $$").message, HasSubstr("signal 11"));
}

TEST(PrivateDaemon, GetsItsArgumentsAndAControlSocketOnly) {
  const Error error = failure_of(
      "for fd in /proc/self/fd/*; do f=${fd##*/}; [ $f -gt 2 ] && l=$(readlink /proc/$$/fd/$f) && "
      "open=\"$open $f:$l\"; done\n"
      "echo \"$* |$open\" >&2; exit 3",
      {"--threshold", "5000000000ns"});
  EXPECT_THAT(error.message,
              ::testing::MatchesRegex("--private 3 .*--threshold 5000000000ns \\|.* 3:socket:.*"));
  EXPECT_THAT(error.message, Not(HasSubstr(" 4:socket")));
}

TEST(PrivateDaemon, StaleDefaultSocketStartsOne) {
  test::TempDir dir;
  ConnectOptions options;
  options.default_socket = dir.file("stale");
  test::leave_stale_socket(options.default_socket);
  options.loiterd = make_program(dir, "echo 'loiterd: it was me' >&2; exit 3");
  auto client = connect_to_daemon(options);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().message, "it was me");
}

TEST(PrivateDaemon, IsNotStartedWhereADaemonRunsButFails) {
  UnixServer server([](int connection, const std::string&) { send_bytes(connection, "rubbish\r\n\r\n"); });
  test::TempDir dir;
  ConnectOptions options;
  options.default_socket = server.path();
  options.loiterd = make_program(dir, "touch $(dirname $0)/started; exit 3");
  EXPECT_FALSE(connect_to_daemon(options));
  EXPECT_NE(access(dir.file("started").c_str(), F_OK), 0);
}

TEST(PrivateDaemon, AFloodOfLogDoesNotBlockIt) {
  const Error error = failure_of(
      "i=0; while [ $i -lt 4000 ]; do echo 'a line of the log that is of some length, and then some more' "
      ">&2; "
      "i=$((i+1)); done; echo 'loiterd: the end' >&2; exit 3");
  EXPECT_EQ(error.message, "the end");
}

TEST(PrivateDaemon, ThatCannotBeRun) {
  test::TempDir dir;
  ConnectOptions options;
  options.default_socket = dir.file("none");
  options.loiterd = dir.file("loiterd");
  auto client = connect_to_daemon(options);
  ASSERT_FALSE(client);
  EXPECT_THAT(client.error().message, HasSubstr("cannot run " + options.loiterd));
}

TEST(PrivateDaemon, IsFoundBesideTheExecutableOrInSbin) {
  test::TempDir dir;
  mkdir(dir.file("bin").c_str(), 0755);
  mkdir(dir.file("sbin").c_str(), 0755);
  EXPECT_FALSE(cli::find_loiterd_beside(dir.file("bin/loiter")));
  std::ofstream(dir.file("sbin/loiterd")) << "x";
  EXPECT_FALSE(cli::find_loiterd_beside(dir.file("bin/loiter"))) << "it cannot be run";
  chmod(dir.file("sbin/loiterd").c_str(), 0755);
  auto in_sbin = cli::find_loiterd_beside(dir.file("bin/loiter"));
  ASSERT_TRUE(in_sbin);
  EXPECT_EQ(*in_sbin, dir.file("sbin/loiterd"));
  EXPECT_FALSE(cli::find_loiterd_beside(dir.file("build/loiter")))
      << "not where the directory is not called bin";
  std::ofstream(dir.file("bin/loiterd")) << "x";
  chmod(dir.file("bin/loiterd").c_str(), 0755);
  auto beside = cli::find_loiterd_beside(dir.file("bin/loiter"));
  ASSERT_TRUE(beside);
  EXPECT_EQ(*beside, dir.file("bin/loiterd"));
}

}  // namespace
}  // namespace loiter
