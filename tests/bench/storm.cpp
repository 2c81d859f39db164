// 20,000 threads born and ended within a second: is every one of them accounted for, and is the tree right
// after the next census?
#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "tests/bench/sections.h"
#include "tests/bench/workload.h"
#include "tests/lib/daemon.h"
#include "tests/lib/proc.h"

namespace loiter::bench {
namespace {

using nlohmann::json;

// Slower than that is no second any more: this machine cannot make the load.
constexpr double kLongestNs = 1.1e9;

struct Counted {
  size_t births = 0, ends = 0;
  size_t slow_reader = 0;  // the daemon made them, we did not read them in time
};

// Reads a process's events from its construction on.
class EventCounter {
 public:
  EventCounter(const test::Daemon& daemon, pid_t pid) : connection_(daemon.socket()) {
    connection_.request("/v1/events?pid=" + std::to_string(pid));
    connection_.read_head();
    take(connection_.read_line());  // "start": from here on nothing is missed
    reader_ = std::thread([this] { read(); });
  }
  ~EventCounter() {
    stop_ = true;
    if (reader_.joinable()) reader_.join();
  }

  // Returns when as many births and ends have come, or when none of them can still be under way.
  Counted finish(size_t expected) {
    for (int patience = 100; patience > 0 && !interrupted(); --patience) {
      if (births_ >= expected && ends_ >= expected) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    stop_ = true;
    reader_.join();
    return {births_, ends_, slow_reader_};
  }

 private:
  void read() {
    while (!stop_ && !connection_.ended()) take(connection_.read_line(std::chrono::milliseconds(100)));
  }

  void take(const std::optional<std::string>& line) {
    if (!line) return;
    const json event = json::parse(*line);
    const std::string type = event.at("type");
    births_ += type == "birth" && !event.at("process");
    ends_ += type == "exit";
    if (type == "lost" && event.at("cause") == "slow_reader") slow_reader_ += event.at("count").get<size_t>();
  }

  test::HttpConnection connection_;
  std::atomic<size_t> births_{0}, ends_{0}, slow_reader_{0};
  std::atomic<bool> stop_{false};
  std::thread reader_;
};

// What was seen and what is known to be lost make up the truth; without losses there is nothing to make up.
Verdict accounts_for(size_t seen, size_t lost, size_t truth) {
  return seen <= truth && seen + lost >= truth ? Verdict::met : Verdict::missed;
}

std::string count_text(size_t seen, size_t lost) {
  return std::to_string(seen) + " seen, " + std::to_string(lost) + " lost";
}

bool tree_is_right(const json& tree, pid_t pid) {
  std::multiset<pid_t> shown;
  for (const json& thread : tree.at("threads")) shown.insert(thread.at("tid").get<pid_t>());
  const std::set<pid_t> truth = test::threads_of(pid);
  return std::equal(shown.begin(), shown.end(), truth.begin(), truth.end());
}

// How many events of that kind the kernel could not hand over since `before`.
size_t lost_since(const json& before, const json& after, const std::string& ring_cause) {
  size_t lost = 0;
  for (size_t i = 0; i < after.at("losses").size(); ++i) {
    const std::string cause = after.at("losses")[i].at("cause");
    if (cause == ring_cause || cause == "program_missed" || cause == "unreadable")
      lost +=
          after.at("losses")[i].at("count").get<size_t>() - before.at("losses")[i].at("count").get<size_t>();
  }
  return lost;
}

struct Round {
  double elapsed_ns = 0;
  size_t births_lost = 0, ends_lost = 0;
  Counted counted;
  json tree;
  bool tree_right = false;
};

Round run_round(const test::Daemon& daemon) {
  Round round;
  Workload storm("storm", std::to_string(kThreads));
  const json before = daemon.status();
  EventCounter events(daemon, storm.pid());
  round.elapsed_ns = static_cast<double>(storm.run_storm());
  round.tree = daemon.tree(storm.pid());  // from a census that begins now
  round.tree_right = tree_is_right(round.tree, storm.pid());
  round.counted = events.finish(kThreads);
  const json after = daemon.status();
  round.births_lost = lost_since(before, after, "ring_full_birth");
  round.ends_lost = lost_since(before, after, "ring_full_exit");
  return round;
}

// A machine too slow for the load shows no success, but what fails on it has failed.
void tell(Report& report, const Round& round) {
  const auto judge = [&](Verdict verdict) {
    return verdict == Verdict::met && round.elapsed_ns > kLongestNs ? Verdict::undecided : verdict;
  };
  const auto goal = [&](const std::string& name, size_t seen, size_t lost) {
    report.goal(name, count_text(seen, lost), "20000", judge(accounts_for(seen, lost, kThreads)));
  };
  report.figure("20,000 threads born and ended in", duration_text(round.elapsed_ns));
  goal("births in the stream of events", round.counted.births, round.births_lost + round.counted.slow_reader);
  goal("ends in the stream of events", round.counted.ends, round.ends_lost + round.counted.slow_reader);
  goal("ended threads kept or known to be forgotten",
       round.tree.at("ended_threads").size() + round.tree.at("ended_dropped").get<size_t>(), round.ends_lost);
  report.goal("tree after the next census", std::to_string(round.tree.at("threads").size()) + " threads live",
              "as /proc", judge(round.tree_right ? Verdict::met : Verdict::missed));
}

}  // namespace

void measure_storm(Report& report, const Settings& settings) {
  report.section("20,000 threads born and ended in a second");
  const test::Daemon daemon;
  for (int round = 0; round < (settings.quick ? 1 : 3); ++round) {
    throw_if_interrupted();
    tell(report, run_round(daemon));
  }
}

}  // namespace loiter::bench
