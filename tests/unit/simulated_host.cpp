#include "tests/unit/simulated_host.h"

#include <algorithm>
#include <utility>

namespace loiter::test {

SimulatedHost::SimulatedHost(uint64_t seed, const Conditions& conditions)
    : conditions_(conditions), random_(seed) {
  Task init;
  init.id = task_id(free_pid(), 1, tick());
  init.name = "init";
  init.told = true;
  tasks_[1] = init;
}

uint32_t SimulatedHost::free_pid() {
  do last_pid_ = last_pid_ % conditions_.max_pid + 1;
  while (tasks_.contains(last_pid_));
  return last_pid_;
}

SimulatedHost::Task* SimulatedHost::any_running() {
  std::vector<Task*> running;
  for (auto& [tid, task] : tasks_)
    if (task.told && !task.ended) running.push_back(&task);
  return running.empty() ? nullptr : running[random(running.size())];
}

bool SimulatedHost::has_siblings(const Task& leader) const {
  return std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
    return entry.second.id.tgid == leader.id.tgid && entry.first != leader.id.tid;
  });
}

// False: it was lost.
bool SimulatedHost::send(Event event) {
  if (chance(conditions_.loss)) {
    ++lost_;
    return false;
  }
  ring_.push_back(std::move(event));
  if (ring_.size() > 1 && chance(conditions_.swaps)) std::swap(ring_.back(), ring_[ring_.size() - 2]);
  return true;
}

void SimulatedHost::step() {
  Task* task = any_running();
  if (!task) return finish_one();
  ++task->switches;
  task->ran = tick();
  const uint64_t what = random(22);
  if (what < 4)
    give_birth(*task, false);
  else if (what < 6)
    give_birth(*task, true);
  else if (what < 10)
    end(*task);
  else if (what < 12)
    exec(*task);
  else if (what < 13)
    rename(*task);
  else if (what < 14)
    rename(*any_running());  // by this one: it need not run itself
  else if (what < 16)
    adopt(*any_running());
  else
    finish_one();
}

void SimulatedHost::give_birth(Task& creator, bool process) {
  if (tasks_.size() >= conditions_.max_live) return;
  Task child;
  const uint32_t tid = free_pid();
  child.id = task_id(tid, process ? tid : creator.id.tgid, tick(), creator.id.exec_id);
  child.creator = {creator.id.tid, creator.id.start_boot_ns};
  child.name = creator.name;
  child.parent_pid = creator.id.tgid;
  const loiter_task_id creator_id = creator.id;
  Task& made = tasks_[tid] = child;
  made.birth_delivered = false;
  pending_births_[tid] = creator_id;
  if (!conditions_.windows || chance(0.7)) tell_birth(made);
}

void SimulatedHost::tell_birth(Task& task) {
  const loiter_task_id creator = pending_births_[task.id.tid];
  pending_births_.erase(task.id.tid);
  task.told = true;
  task.ran = chance(0.5) ? tick() : 0;  // 0: it waits for a CPU yet
  Event event = birth_event(task.id, creator, tick(), task.name);
  task.birth_delivered = send(std::move(event));
}

void SimulatedHost::end(Task& task) {
  if (task.id.tid == 1) return;
  task.ended = true;
  const uint32_t tid = task.id.tid;
  send(exit_event(task.id, tick(), task.switches));
  if (!task.is_leader() && (!conditions_.windows || chance(0.7))) release(tid);
}

// Takes an ended task out of the pid table, if it may go.
void SimulatedHost::release(uint32_t tid) {
  tick();
  const Task& task = tasks_.at(tid);
  if (task.is_leader() && has_siblings(task)) return;
  tasks_.erase(tid);
}

// The siblings end, each with an exit of its own, and are gone; then the caller is the leader.
void SimulatedHost::exec(Task& caller) {
  const loiter_task_id old = caller.id;
  std::vector<uint32_t> siblings;
  for (auto& [tid, task] : tasks_)
    if (task.id.tgid == old.tgid && tid != old.tid) siblings.push_back(tid);
  std::shuffle(siblings.begin(), siblings.end(), random_);
  for (uint32_t tid : siblings) {
    Task& sibling = tasks_.at(tid);
    if (!sibling.told) tell_birth(sibling);
    if (!std::exchange(sibling.ended, true)) send(exit_event(sibling.id, tick(), sibling.switches));
    if (!sibling.is_leader()) release(tid);
  }
  Task self = caller;
  if (!self.is_leader()) {
    const Task leader = tasks_.at(old.tgid);
    self.id.tid = old.tgid;
    self.id.start_boot_ns = leader.id.start_boot_ns;
    self.creator = leader.creator;
    self.parent_pid = leader.parent_pid;
    tasks_.erase(old.tid);
  }
  ++self.id.exec_id;
  self.name = "x" + std::to_string(++names_);
  tasks_[self.id.tid] = self;
  send(rename_event(self.id, tick(), self.name));
  send(exec_event(self.id, old.tid, tick(), self.name));
}

void SimulatedHost::rename(Task& task) {
  task.name = "n" + std::to_string(++names_);
  send(rename_event(task.id, tick(), task.name));
}

// The parent of a process ends: another takes its place, and the process need not run for that.
void SimulatedHost::adopt(Task& process) {
  if (process.is_leader()) process.parent_pid = static_cast<uint32_t>(1 + random(conditions_.max_pid));
}

// Goes on with something that is half done.
void SimulatedHost::finish_one() {
  std::vector<uint32_t> halves;
  for (const auto& [tid, task] : tasks_)
    if (!task.told || task.ended) halves.push_back(tid);
  if (halves.empty()) return;
  Task& task = tasks_.at(halves[random(halves.size())]);
  if (task.told)
    release(task.id.tid);
  else
    tell_birth(task);
}

void SimulatedHost::settle() {
  for (auto& [tid, task] : tasks_)
    if (!task.told) tell_birth(task);
  for (bool again = true; std::exchange(again, false);)
    for (auto at = tasks_.begin(); at != tasks_.end();) {
      const Task& task = (at++)->second;
      if (!task.ended || (task.is_leader() && has_siblings(task))) continue;
      tasks_.erase(task.id.tid);
      again = true;
    }
}

loiter_thread SimulatedHost::read(const Task& task) const {
  loiter_thread record = make_record(task.id, task.name);
  if (task.ended && task.is_leader()) record.exit_state = kZombieState;
  record.voluntary_switches = task.switches;
  record.cpu_ns = task.switches;
  record.parent_tgid = task.parent_pid;
  return record;
}

bool SimulatedHost::is_still(const Task& task) const {
  return !task.ended && task.ran != 0 && task.ran < before_ && (task.id.tid + pass_) % 32 != 0;
}

Census SimulatedHost::census(unsigned steps, bool full) {
  before_ = begin_;
  begin_ = tick();
  ++pass_;
  Census census = make_census(begin_, 0, {});
  for (uint32_t tid = 1; tid <= conditions_.max_pid; ++tid) {
    if (steps > 0)
      for (uint64_t count = random(steps + 1); count > 0; --count) step();
    auto task = tasks_.find(tid);
    if (task == tasks_.end()) continue;
    if (!full && is_still(task->second))
      census.still.push_back(make_still(read(task->second)));
    else
      census.threads.push_back(read(task->second));
  }
  census.end.mono_ns = census.end.boot_ns = tick();
  return census;
}

std::vector<Event> SimulatedHost::drain(size_t in_flight) {
  std::vector<Event> events;
  while (ring_.size() > in_flight) {
    events.push_back(std::move(ring_.front()));
    ring_.pop_front();
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.boot_ns < b.boot_ns; });
  return events;
}

}  // namespace loiter::test
