// The API held against clients that are wrong, rude or gone.
#include <gtest/gtest.h>

#include <random>

#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

void expect_error(const Daemon& daemon, const std::string& target, int status, const std::string& code) {
  const HttpResponse response = daemon.request(target);
  EXPECT_EQ(response.status, status) << target;
  const json document = json::parse(response.body);
  EXPECT_EQ(document.at("schema"), 1);
  EXPECT_EQ(document.at("error").at("code"), code) << target;
  const std::string message = document.at("error").at("message");
  EXPECT_FALSE(message.empty());
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

TEST(Server, AnswersWhatItDoesNotUnderstand) {
  Daemon daemon;
  expect_error(daemon, "/", 404, "no_such_endpoint");
  expect_error(daemon, "/v1", 404, "no_such_endpoint");
  expect_error(daemon, "/v1/status/more", 404, "no_such_endpoint");
  expect_error(daemon, "/v2/status", 404, "no_such_endpoint");
  for (const char* pid : {"0", "-1", "99999999999999999999", "4294967297"})
    EXPECT_GE(daemon.request(std::string("/v1/processes/") + pid).status, 400) << pid;
  for (const char* pid : {"abc", "1x", "%00", "1/2"})
    EXPECT_GE(daemon.request(std::string("/v1/processes/") + pid).status, 400) << pid;
  for (const char* value : {"", "abc", "-1", "1s", "99999999999999999999999"})
    expect_error(daemon, std::string("/v1/processes?threshold_ns=") + value, 400, "bad_request");
  expect_error(daemon, "/v1/scan?pid=abc", 400, "bad_request");
  expect_error(daemon, "/v1/events?pid=abc", 400, "bad_request");
}

TEST(Server, TakesOnlyGet) {
  Daemon daemon;
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    HttpConnection connection(daemon.socket());
    connection.send(std::string(method) +
                    " /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    "Content-Length: 0\r\n\r\n");
    const HttpResponse response = connection.read_response();
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(json::parse(response.body).at("error").at("code"), "method_not_allowed");
  }
  EXPECT_GE(daemon.status().at("uptime_ns"), 0);
}

TEST(Server, SaysJson) {
  Daemon daemon;
  const HttpResponse response = daemon.request("/v1/status");
  EXPECT_TRUE(response.headers.at("content-type").starts_with("application/json"))
      << response.headers.at("content-type");
}

// Rubbish from a fixed seed, and what breaks parsers: no end, no colon, a request for ever.
std::vector<std::string> rubbish() {
  std::vector<std::string> all = {
      "",
      "\r\n\r\n\r\n",
      "GET",
      "GET /v1/status",
      "GET /v1/status HTTP/9.9\r\n\r\n",
      "GET  HTTP/1.1\r\n\r\n",
      "GET /v1/status HTTP/1.1\r\nno colon here\r\n\r\n",
      "GET /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "POST /v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZZ\r\n",
      "GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\r\nX: " + std::string(1'000'000, 'b') + "\r\n\r\n",
      std::string("GET /v1/processes/\x00\xff\x1b HTTP/1.1\r\n\r\n", 37),
  };
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::string bytes(random() % 3000, 0);
    for (char& byte : bytes) byte = static_cast<char>(random());
    all.push_back(bytes);
  }
  return all;
}

TEST(Server, OutlivesRubbish) {
  Daemon daemon;
  for (const std::string& bytes : rubbish()) {
    HttpConnection connection(daemon.socket());
    connection.send(bytes);
    EXPECT_EQ(daemon.request("/v1/status").status, 200) << bytes.substr(0, 60);
  }
  EXPECT_TRUE(daemon.process().alive());
}

TEST(Server, OutlivesClientsThatLeaveHalfWay) {
  Daemon daemon;
  Workload workload("storm");
  workload.command("keep 300");
  daemon.tree(workload.pid());  // opens what it looks inside processes with, and keeps it
  const size_t files = open_file_count(daemon.pid());
  const std::string tree = "/v1/processes/" + std::to_string(workload.pid());
  for (int i = 0; i < 60; ++i) {
    HttpConnection(daemon.socket());
    HttpConnection(daemon.socket()).send("GET /v1/sta");
    HttpConnection(daemon.socket()).request(tree);  // and never reads the answer
    HttpConnection(daemon.socket()).request(tree + "?fresh=1");
    HttpConnection partial(daemon.socket());
    partial.request(tree);
    partial.read_head();
    HttpConnection stream(daemon.socket());
    stream.request("/v1/events");
    stream.read_head();
    stream.read_line();
  }
  workload.command("threads 100");
  EXPECT_TRUE(
      await("the streams are gone", [&] { return daemon.status().at("counts").at("event_streams") == 0; }));
  EXPECT_TRUE(await("their files are closed", [&] { return open_file_count(daemon.pid()) <= files; }))
      << open_file_count(daemon.pid()) << " files, were " << files;
  EXPECT_EQ(daemon.tree(workload.pid()).at("threads").size(), 301u);
}

TEST(Server, OutlivesAStreamCutOffInAStorm) {
  Daemon daemon;
  Workload workload("storm");
  for (int i = 0; i < 10; ++i) {
    HttpConnection stream(daemon.socket());
    stream.request("/v1/events");
    stream.read_head();
    workload.send("threads 300");
    stream.read_line();
    stream = HttpConnection(daemon.socket());
    workload.read_until("done");
  }
  EXPECT_TRUE(
      await("the streams are gone", [&] { return daemon.status().at("counts").at("event_streams") == 0; }));
}

TEST(Server, ServesOthersWhileOneDoesNotRead) {
  Daemon daemon;
  Workload workload("storm");
  workload.command("keep 3000");
  HttpConnection lazy(daemon.socket());
  lazy.request("/v1/processes/" + std::to_string(workload.pid()) + "?fresh=1");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(daemon.tree(workload.pid()).at("threads").size(), 3001u);
  EXPECT_EQ(json::parse(lazy.read_response().body).at("threads").size(), 3001u);
}

}  // namespace
}  // namespace loiter::test
