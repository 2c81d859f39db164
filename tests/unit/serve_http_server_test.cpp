// The HTTP server over a real Unix socket and over connections handed to it: answers, waits for a fresh
// census, streams, clients that hang up, say nonsense or come in great number, and its end.
#include "daemon/serve/http_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "daemon/base/clock.h"
#include "daemon/serve/listen_socket.h"
#include "tests/lib/await.h"
#include "tests/lib/daemon.h"
#include "tests/lib/http.h"
#include "tests/lib/proc.h"
#include "tests/unit/model_records.h"
#include "tests/unit/pictures.h"

namespace loiter::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// A client that speaks no HTTP of itself.
class RawConnection {
 public:
  explicit RawConnection(Fd fd) : fd_(std::move(fd)) {}
  explicit RawConnection(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  void send(const std::string& text) { ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  void shut_down_sending() { shutdown(fd_.get(), SHUT_WR); }

  // Reads on until `end` has come; false where the other side closes before, or after a minute.
  bool read_to(const std::string& end) {
    pollfd state{fd_.get(), POLLIN, 0};
    char buffer[4096];
    while (text_.find(end) == std::string::npos) {
      if (poll(&state, 1, 60'000) != 1) return false;
      const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), 0);
      if (size <= 0) return false;
      text_.append(buffer, static_cast<size_t>(size));
    }
    text_.erase(0, text_.find(end) + end.size());
    return true;
  }

 private:
  Fd fd_;
  std::string text_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() : socket_(ListenSocket::make(path_)) {
    auto started = HttpServer::start({api_, board_, hub_, [this] { ++requested_; }}, socket_->take_fd());
    if (!started) throw std::runtime_error(started.error().message);
    server_ = std::move(*started);
  }

  // As the collector does it. `began`: its census; now unless told.
  void publish(uint64_t began = monotonic_now_ns()) {
    board_.publish(
        make_picture(make_snapshot({make_process(100, "prog", {make_thread(100, "main", 1)})}, began)));
    server_->notify_published();
  }

  void push(const std::string& name) {
    hub_.push(rename_event(task_id(2, 1, 5), boottime_now_ns(), name), "", WallClock{});
    hub_.flush();
  }

  // A client that has got the first line of its stream.
  std::unique_ptr<HttpConnection> open_stream(const std::string& target = "/v1/events") {
    auto stream = std::make_unique<HttpConnection>(path_);
    EXPECT_TRUE(stream->request(target));
    EXPECT_EQ(stream->read_head().status, 200);
    EXPECT_EQ(json::parse(stream->read_line().value_or("null"))["type"], "start");
    return stream;
  }

  bool await_streams(size_t count) {
    return await("the streams are closed", [&] {
      server_->notify_published();
      return hub_.reader_count() == count;
    });
  }

  TempDir dir_;
  std::string path_ = dir_.file("d.sock");
  Board board_;
  EventHub hub_;
  Api api_{board_, Procfs(dir_.path())};
  std::atomic<int> requested_ = 0;
  Result<ListenSocket> socket_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, MarksAreAskedForAndNotWaitedFor) {
  publish();
  VerdictBoard verdicts;
  std::vector<uint64_t> asked;  // by the server's thread, before it answers
  const std::string path = dir_.file("marks.sock");
  auto socket = ListenSocket::make(path);
  ASSERT_TRUE(socket);
  auto server = HttpServer::start({.api = api_,
                                   .board = board_,
                                   .hub = hub_,
                                   .request_census = [] {},
                                   .verdicts = &verdicts,
                                   .request_verdict = [&](uint64_t mono_ns) { asked.push_back(mono_ns); }},
                                  socket->take_fd());
  ASSERT_TRUE(server);
  EXPECT_EQ(http_get(path, "/v1/processes").status, 200);
  EXPECT_TRUE(asked.empty());
  for (const char* target : {"/v1/processes?findings=1", "/v1/processes/100?findings=1"})
    EXPECT_EQ(http_get(path, target).status, 200);
  EXPECT_EQ(asked, (std::vector<uint64_t>{0, 0}));
  verdicts.publish(std::make_shared<Verdicts>());
  EXPECT_EQ(http_get(path, "/v1/processes?findings=1").status, 200);
  EXPECT_EQ(asked.size(), 2u) << "who judges already is not made to judge more";
}

TEST_F(HttpServerTest, AnswersInJsonThatIsNotToBeKept) {
  publish();
  HttpResponse response = http_get(path_, "/v1/processes");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers["content-type"], "application/json");
  EXPECT_EQ(response.headers["cache-control"], "no-store");
  EXPECT_EQ(json::parse(response.body)["processes"][0]["pid"], 100);
  EXPECT_EQ(http_get(path_, "/v1/nothing").status, 404);
  EXPECT_EQ(http_get(path_, "/v1/scan?pid=%ff&threshold_ns").status, 400);
  EXPECT_EQ(http_get(path_, "/v1/scan?threshold_ns=1").status, 200);
}

TEST_F(HttpServerTest, ServesOneConnectionManyTimes) {
  publish();
  RawConnection connection(path_);
  for (int i = 0; i < 3; ++i) {
    connection.send("GET /v1/processes/100 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(connection.read_to("HTTP/1.1 200"));
    EXPECT_TRUE(connection.read_to("\"ended_dropped\":0}"));
  }
}

TEST_F(HttpServerTest, AnythingButGetIsRefused) {
  publish();
  for (const char* method : {"POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"}) {
    HttpConnection connection(path_);
    ASSERT_TRUE(connection.request("/v1/status", method));
    HttpResponse response = connection.read_response();
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(response.headers["allow"], "GET") << method;
    const bool bodiless = std::string(method) == "HEAD";
    EXPECT_EQ(response.body.find("method_not_allowed") == std::string::npos, bodiless) << method;
  }
}

TEST_F(HttpServerTest, ABodyThatNobodyAskedForIsPassedOver) {
  publish();
  for (const char* method : {"GET", "POST"}) {
    HttpConnection connection(path_);
    ASSERT_TRUE(connection.send(
        std::string(method) +
        " /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 50000\r\n\r\n"));
    connection.send(std::string(50'000, 'x'));
    EXPECT_EQ(connection.read_head().status, std::string(method) == "GET" ? 200 : 405);
  }
}

// --- waits ------------------------------------------------------------------------------------------

TEST_F(HttpServerTest, BeforeTheFirstCensusRequestsWait) {
  HttpConnection connection(path_);
  ASSERT_TRUE(connection.request("/v1/status"));
  EXPECT_TRUE(await("a census is asked for", [&] { return requested_ > 0; }));
  EXPECT_EQ(connection.read_head(50ms).status, 0);
  publish();
  EXPECT_EQ(connection.read_response().status, 200);
}

TEST_F(HttpServerTest, AFreshAnswerIsOfACensusThatBeganLater) {
  publish();
  EXPECT_EQ(http_get(path_, "/v1/status").status, 200);
  EXPECT_EQ(requested_, 0);
  HttpConnection connection(path_);
  const uint64_t before = monotonic_now_ns();
  ASSERT_TRUE(connection.request("/v1/processes?fresh=1"));
  ASSERT_TRUE(await("a census is asked for", [&] { return requested_ > 0; }));
  publish(before);  // it was under way already
  EXPECT_EQ(connection.read_head(50ms).status, 0);
  publish();
  EXPECT_EQ(connection.read_response().status, 200);
}

TEST_F(HttpServerTest, ManyWaitForOneCensus) {
  publish();
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (int i = 0; i < 50; ++i) {
    connections.push_back(std::make_unique<HttpConnection>(path_));
    ASSERT_TRUE(connections.back()->request("/v1/processes?fresh=1"));
  }
  ASSERT_TRUE(await("all have asked", [&] { return requested_ == 50; }));
  publish();
  for (auto& connection : connections) EXPECT_EQ(connection->read_response().status, 200);
}

TEST_F(HttpServerTest, ThoseWhoLeaveWhileTheyWaitDoNoHarm) {
  for (int i = 0; i < 20; ++i) {
    HttpConnection connection(path_);
    ASSERT_TRUE(connection.request("/v1/status"));
    ASSERT_TRUE(await("it waits", [&] { return requested_ > i; }));
  }
  publish();
  EXPECT_EQ(http_get(path_, "/v1/status").status, 200);
}

// --- streams ----------------------------------------------------------------------------------------

TEST_F(HttpServerTest, AStreamBringsEventsAsTheyHappen) {
  auto stream = open_stream();
  for (int i = 0; i < 3; ++i) {
    push("n" + std::to_string(i));
    EXPECT_EQ(json::parse(stream->read_line().value_or("null"))["name"], "n" + std::to_string(i));
  }
}

TEST_F(HttpServerTest, AStreamOfOneProcessSkipsTheOthers) {
  auto other = open_stream("/v1/events?pid=7");
  auto own = open_stream("/v1/events?pid=1");
  push("x");
  EXPECT_EQ(json::parse(own->read_line().value_or("null"))["name"], "x");
  hub_.push_lost(1, "ring_full_exit", WallClock{});
  hub_.flush();
  EXPECT_EQ(json::parse(other->read_line().value_or("null"))["type"], "lost");
}

TEST_F(HttpServerTest, AStreamForNoPidIsRefused) {
  HttpConnection connection(path_);
  ASSERT_TRUE(connection.request("/v1/events?pid=x"));
  EXPECT_EQ(connection.read_response().status, 400);
  EXPECT_EQ(hub_.reader_count(), 0u);
}

TEST_F(HttpServerTest, AListenerThatHangsUpIsNoticedThoughAllIsQuiet) {
  auto stream = open_stream();
  auto with_more_to_say = open_stream();
  EXPECT_TRUE(with_more_to_say->send("rubbish"));
  EXPECT_EQ(hub_.reader_count(), 2u);
  server_->notify_published();
  EXPECT_EQ(hub_.reader_count(), 2u);
  stream.reset();
  EXPECT_TRUE(await_streams(1));
  with_more_to_say.reset();
  EXPECT_TRUE(await_streams(0));
}

TEST_F(HttpServerTest, AListenerThatWillSayNoMoreStillListens) {
  RawConnection stream(path_);
  stream.send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(stream.read_to("start"));
  stream.shut_down_sending();
  server_->notify_published();
  push("still here");
  EXPECT_TRUE(stream.read_to("still here"));
}

TEST_F(HttpServerTest, ASlowListenerStopsNobodyAndIsToldWhatItMissed) {
  publish();
  auto slow = open_stream();
  for (size_t i = 0; i < 3 * EventHub::kMaxLines; ++i) push("many");
  push("last");
  EXPECT_EQ(http_get(path_, "/v1/status").status, 200);
  std::string line, lost;
  while (line.find("last") == std::string::npos) {
    auto next = slow->read_line();
    ASSERT_TRUE(next);
    line = *next;
    if (line.find("slow_reader") != std::string::npos) lost = line;
  }
  ASSERT_NE(lost, "");
  EXPECT_GT(json::parse(lost)["count"], 0);
}

TEST_F(HttpServerTest, ThereIsAnEndToTheNumberOfStreams) {
  std::vector<std::unique_ptr<HttpConnection>> streams;
  for (size_t i = 0; i < EventHub::kMaxReaders; ++i) streams.push_back(open_stream());
  HttpResponse refused = http_get(path_, "/v1/events");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(json::parse(refused.body)["error"]["code"], "busy");
  publish();
  EXPECT_EQ(json::parse(http_get(path_, "/v1/status").body)["counts"]["event_streams"],
            EventHub::kMaxReaders);
  streams.pop_back();
  EXPECT_TRUE(await_streams(EventHub::kMaxReaders - 1));
  streams.push_back(open_stream());
}

// --- clients that misbehave -------------------------------------------------------------------------

TEST_F(HttpServerTest, GarbageDoesNoHarm) {
  publish();
  const std::string long_path(40'000, 'x');
  for (const std::string& text :
       {std::string("\0\0\0\0\r\n\r\n", 8), std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("\xff\xfe\x1b[2J\n\n\n"), "GET /" + long_path + " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + long_path + "\r\n\r\n",
        std::string("GET /v1/status HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string("GET http://x/v1/status?%zz=%&=&&fresh HTTP/1.1\r\n\r\n")}) {
    RawConnection connection(path_);
    connection.send(text);
    connection.shut_down_sending();
    EXPECT_EQ(http_get(path_, "/v1/status").status, 200) << text.substr(0, 40);
  }
}

TEST_F(HttpServerTest, RequestsCutShortAtEveryByteDoNoHarm) {
  publish();
  const std::string request = "GET /v1/processes?threshold_ns=5 HTTP/1.1\r\nHost: x\r\n\r\n";
  for (size_t size = 0; size <= request.size(); ++size) {
    HttpConnection connection(path_);
    connection.send(request.substr(0, size));
  }
  EXPECT_EQ(http_get(path_, "/v1/status").status, 200);
}

TEST_F(HttpServerTest, MoreConnectionsThanItTakesAreTakenOneAfterAnother) {
  publish();
  {
    std::vector<std::unique_ptr<HttpConnection>> idle;
    for (int i = 0; i < 300; ++i) idle.push_back(std::make_unique<HttpConnection>(path_));
  }
  EXPECT_TRUE(await("it answers again", [&] { return http_get(path_, "/v1/status").status == 200; }));
}

TEST_F(HttpServerTest, ConnectionsLeaveNoDescriptorBehind) {
  publish();
  ASSERT_EQ(http_get(path_, "/v1/status").status, 200);
  const size_t before = open_file_count(getpid());
  for (int i = 0; i < 50; ++i) {
    http_get(path_, "/v1/status");
    open_stream();
  }
  EXPECT_TRUE(await_streams(0));
  EXPECT_TRUE(await("all are closed", [&] { return open_file_count(getpid()) <= before; }));
}

// --- connections handed over ------------------------------------------------------------------------

TEST(HttpServerWithoutASocket, ServesConnectionsHandedToIt) {
  Board board;
  EventHub hub;
  Api api(board, Procfs("/nonexistent"));
  auto server = HttpServer::start({api, board, hub, [] {}}, Fd());
  ASSERT_TRUE(server) << server.error().message;
  board.publish(make_picture(make_snapshot({})));
  for (int i = 0; i < 5; ++i) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    (*server)->add_connection(Fd(ends[1]));
    RawConnection connection{Fd(ends[0])};
    connection.send(std::string("GET ") + (i % 2 ? "/v1/events" : "/v1/status") +
                    " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(connection.read_to("HTTP/1.1 200"));
    EXPECT_TRUE(connection.read_to("\"schema\":1"));
  }
}

TEST(HttpServerWithoutASocket, ConnectionsBeyondItsNumberAreClosed) {
  Board board;
  EventHub hub;
  Api api(board, Procfs("/nonexistent"));
  auto server = HttpServer::start({api, board, hub, [] {}}, Fd());
  ASSERT_TRUE(server);
  const size_t before = open_file_count(getpid());
  std::vector<Fd> clients;
  for (int i = 0; i < 300; ++i) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    clients.emplace_back(ends[0]);
    (*server)->add_connection(Fd(ends[1]));
  }
  EXPECT_LE(open_file_count(getpid()), before + 300 + 256);
  clients.clear();
  EXPECT_TRUE(await("all are closed", [&] { return open_file_count(getpid()) <= before; }));
}

// --- the end ----------------------------------------------------------------------------------------

TEST_F(HttpServerTest, StopsWithStreamsOpenAndRequestsWaiting) {
  std::vector<std::unique_ptr<HttpConnection>> streams;
  for (int i = 0; i < 5; ++i) streams.push_back(open_stream());
  HttpConnection waiting(path_), silent(path_);
  ASSERT_TRUE(waiting.request("/v1/status"));
  ASSERT_TRUE(await("it waits", [&] { return requested_ > 0; }));
  server_.reset();
  EXPECT_EQ(hub_.reader_count(), 0u);
  for (auto& stream : streams) {
    EXPECT_FALSE(stream->read_line());
    EXPECT_TRUE(stream->ended());
  }
  EXPECT_NE(waiting.read_response().status, 200);
}

// All at once, again and again: for the thread sanitizer, and for locks taken in the wrong order.
TEST_F(HttpServerTest, EverythingAtOnceAndThenTheEnd) {
  std::atomic<bool> done = false;
  std::thread collector([&] {
    for (uint64_t i = 0; !done; ++i) {
      push("name");
      if (i % 10 == 0) publish();
    }
  });
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client)
    clients.emplace_back([&, client] {
      // Fewer streams in all than may be open: those who left are noticed a little later.
      for (int i = 0; i < 30; ++i) {
        HttpConnection connection(path_);
        connection.request(client % 2 ? "/v1/events" : "/v1/processes?fresh=1");
        if (i % 3 == 0) continue;  // leaves at once
        EXPECT_EQ(connection.read_head().status, 200);
        if (client % 2 == 1) {
          EXPECT_TRUE(connection.read_line());
        }
      }
    });
  for (std::thread& client : clients) client.join();
  done = true;
  collector.join();
  server_.reset();
  EXPECT_EQ(hub_.reader_count(), 0u);
}

}  // namespace
}  // namespace loiter::test
