// Programs that others wrote: Python, Node, Java. Their threads must be of the right kind, with stacks, and
// none of them may be said to be held up by anybody.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/lib/daemon.h"
#include "tests/lib/expected.h"
#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

using nlohmann::json;

void expect_quiet(const json& threads) {
  for (const json& thread : threads) {
    if (thread.at("wait").is_null()) continue;
    // A main thread that waits for the end of another does have somebody to wait for.
    EXPECT_TRUE(thread.at("wait").at("kind") == "join" || has_no_holder(thread));
    EXPECT_FALSE(thread.at("stack").empty()) << thread;
    EXPECT_NE(thread.at("wait").at("kind"), "other") << thread;
  }
}

// Until all threads that were asked for are blocked, in a stack document.
json settled(Daemon& daemon, Subprocess& process, size_t at_least) {
  json document;
  EXPECT_TRUE(await("all its threads wait", [&] {
    if (!process.alive()) throw std::runtime_error("it ended: " + process.stderr_text());
    document = daemon.stacks(process.pid());
    size_t waiting = 0;
    for (const json& thread : document.at("threads")) waiting += !thread.at("wait").is_null();
    return waiting >= at_least && waiting == document.at("threads").size();
  })) << document;
  return document;
}

bool missing(const char* program) {
  return access(program, X_OK) != 0;
}

constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kPythonProgram = R"(
import threading, time, queue, sys
lock = threading.Lock()
lock.acquire()
def acquire(): lock.acquire()
def acquire_timed(): lock.acquire(timeout=3600)
def sleep(): time.sleep(3600)
def get(): queue.Queue().get()
def wait(): threading.Event().wait()
def say(name):
    sys.stdout.write("%s %d\n" % (name, threading.get_native_id()))
    sys.stdout.flush()
for body in (acquire, acquire_timed, sleep, get, wait):
    def run(body=body):
        say(body.__name__)
        body()
    threading.Thread(target=run, daemon=True).start()
sys.stdin.read()
)";

std::map<std::string, pid_t> told_threads(const Subprocess& process) {
  std::map<std::string, pid_t> threads;
  for (const std::string& line : split(process.stdout_text(), '\n')) {
    const auto words = split(line, ' ');
    if (words.size() == 2) threads[words[0]] = std::stoi(words[1]);
  }
  return threads;
}

// CPython's locks are semaphores: Python/thread_pthread.h, USE_SEMAPHORES.
TEST(Interpreters, PythonsThreadsAreOfTheirKinds) {
  if (missing(kPython)) GTEST_SKIP() << "no " << kPython;
  Subprocess python({kPython, "-I", "-c", kPythonProgram}, {.stdout_to_memory = true});
  Daemon daemon;
  ASSERT_TRUE(await("all have told", [&] { return told_threads(python).size() == 5; }))
      << python.stderr_text();
  const json document = settled(daemon, python, 6);
  expect_quiet(document.at("threads"));
  auto tids_of = told_threads(python);
  const std::vector<std::pair<const char*, const char*>> kinds = {{"acquire", "semaphore"},
                                                                  {"acquire_timed", "semaphore"},
                                                                  {"sleep", "sleep"},
                                                                  {"get", "semaphore"},
                                                                  {"wait", "semaphore"}};
  for (const auto& [name, kind] : kinds) {
    SCOPED_TRACE(name);
    const json thread = find_thread(document, tids_of[name]);
    ASSERT_FALSE(thread.is_null()) << document;
    EXPECT_EQ(thread.at("wait").at("kind"), kind) << thread;
    EXPECT_TRUE(thread.at("cut").is_null()) << thread;
    const bool timed = std::string(name) == "acquire_timed" || std::string(name) == "sleep";
    EXPECT_EQ(thread.at("wait").at("bounded"), timed) << thread;
  }
  EXPECT_EQ(find_thread(document, python.pid()).at("wait").at("kind"), "read") << document;
}

TEST(Interpreters, NodesThreadsAreOfTheirKinds) {
  constexpr const char* kNode = "/usr/bin/node";
  if (missing(kNode)) GTEST_SKIP() << "no " << kNode;
  Subprocess node({kNode, "-e", "setInterval(() => {}, 3600000)"}, {.stdout_to_memory = true});
  Daemon daemon;
  const json document = settled(daemon, node, 5);
  expect_quiet(document.at("threads"));
  const json loop = find_thread(document, node.pid());
  EXPECT_EQ(loop.at("wait").at("kind"), "poll") << loop;
  EXPECT_EQ(loop.at("wait").at("bounded"), true) << loop;
  for (const json& thread : document.at("threads"))
    EXPECT_TRUE(is_one_of(thread.at("wait").at("kind"), "poll|condvar|semaphore")) << thread;
}

// rmiregistry: a Java program that needs no compiler. Its kinds by the names that the JVM gives its threads.
TEST(Interpreters, JavasThreadsAreOfTheirKinds) {
  constexpr const char* kRegistry = "/usr/bin/rmiregistry";
  if (missing(kRegistry)) GTEST_SKIP() << "no " << kRegistry;
  // Port 0: any. In the container's own network nobody else listens.
  Subprocess java({kRegistry, "-J-XX:+UseSerialGC", "0"}, {.stdout_to_memory = true});
  Daemon daemon;
  const std::map<std::string, const char*> kinds = {
      {"Signal Dispatc", "semaphore"}, {"Finalizer", "condvar"},       {"Reference Handl", "condvar"},
      {"VM Thread", "condvar"},        {"VM Periodic Tas", "condvar"}, {"RMI TCP Accept", "accept|poll"}};
  json document;
  ASSERT_TRUE(await("the threads that are asked for all wait", [&] {
    if (!java.alive()) throw std::runtime_error("it ended: " + java.stderr_text());
    document = daemon.stacks(java.pid());
    size_t found = 0;
    for (const json& thread : document.at("threads"))
      for (const auto& [name, kind] : kinds)
        found += thread.at("name").get<std::string>().starts_with(name) && !thread.at("wait").is_null();
    return found >= kinds.size();
  })) << document;
  expect_quiet(document.at("threads"));
  for (const json& thread : document.at("threads"))
    for (const auto& [name, kind] : kinds)
      if (thread.at("name").get<std::string>().starts_with(name) && !thread.at("wait").is_null()) {
        EXPECT_TRUE(is_one_of(thread.at("wait").at("kind"), kind)) << thread;
      }
}

}  // namespace
}  // namespace loiter::test
