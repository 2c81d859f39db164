// A tiny host whose whole truth is known: threads are born, end, exec, change their names and use each
// other's numbers again, at random but the same for the same seed. It sends events as the kernel side would
// (some lost, some late, some out of order) and is read by censuses while it goes on.
//
// A census may give short records, by the rule of bpf/census.bpf.c; its clock stands for that of all CPUs.
//
// Used by one thread. It follows the kernel where that matters to the model: a thread is visible before
// its birth is told and still after its end is; a leader stays as a zombie while its threads live and until
// it is reaped; a thread that execs takes the leader's tid and start time; pids go round and round.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/model_records.h"

namespace loiter::test {

class SimulatedHost {
 public:
  struct Conditions {
    double loss = 0;        // share of the events that are lost
    double swaps = 0;       // share of the events that change places with the one before
    bool windows = true;    // births are visible before, and ends after, they are told
    uint32_t max_pid = 24;  // pids wrap around here
    size_t max_live = 12;   // threads
  };
  struct Task {
    loiter_task_id id{};
    TaskKey creator;
    bool birth_delivered = false;
    std::string name;
    uint64_t switches = 0;
    uint32_t parent_pid = 0;
    uint64_t ran = 0;    // when it last ran: exec_start
    bool told = false;   // its birth was: it runs
    bool ended = false;  // its exit was told; visible until released
    bool is_leader() const { return id.tid == id.tgid; }
  };

  SimulatedHost(uint64_t seed, const Conditions& conditions);

  // Lets something happen.
  void step();
  // Finishes what is under way: births are told, ended threads and reaped leaders go.
  void settle();

  // Reads thread by thread, as the iterator does; between two of them there are up to `steps` steps.
  Census census(unsigned steps, bool full = true);

  // The events sent so far, but for the last `in_flight`, which come with the next call; in the order of
  // time.
  std::vector<Event> drain(size_t in_flight = 0);

  const std::map<uint32_t, Task>& tasks() const { return tasks_; }
  size_t lost() const { return lost_; }
  uint64_t random(uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_); }
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }

 private:
  uint64_t tick() { return now_ += 1 + random(1000); }
  uint32_t free_pid();
  Task* any_running();
  bool has_siblings(const Task& leader) const;
  bool send(Event event);
  void give_birth(Task& creator, bool process);
  void tell_birth(Task& task);
  void end(Task& task);
  void release(uint32_t tid);
  void exec(Task& task);
  void rename(Task& task);
  void adopt(Task& process);
  bool is_still(const Task& task) const;
  void finish_one();
  loiter_thread read(const Task& task) const;

  Conditions conditions_;
  std::mt19937_64 random_;
  uint64_t now_ = 1'000'000;
  uint32_t last_pid_ = 0;
  uint32_t names_ = 0;
  size_t lost_ = 0;
  uint64_t begin_ = 0;   // of the last census
  uint64_t before_ = 0;  // the moment before which a thread must have run last to be still: as that one began
  uint64_t pass_ = 0;
  std::map<uint32_t, Task> tasks_;                     // by tid: what the pid table holds
  std::map<uint32_t, loiter_task_id> pending_births_;  // by tid: the creator at that moment
  std::deque<Event> ring_;
};

}  // namespace loiter::test
