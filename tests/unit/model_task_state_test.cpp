// States from the scheduler's own figures, as Linux 6.1 to 6.18 have them (include/linux/sched.h).
#include "daemon/model/task_state.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace loiter {
namespace {

struct Figures {
  uint32_t state;
  uint32_t exit_state;
  uint32_t marks;
  TaskState expected;
};

void PrintTo(const Figures& figures, std::ostream* to) {
  *to << "state " << figures.state << " exit_state " << figures.exit_state << " marks " << figures.marks;
}

class TaskStates : public ::testing::TestWithParam<Figures> {};

TEST_P(TaskStates, AreReadOffTheFigures) {
  loiter_thread record{};
  record.state = GetParam().state;
  record.exit_state = GetParam().exit_state;
  record.marks = GetParam().marks;
  EXPECT_STREQ(to_string(state_of(record)), to_string(GetParam().expected));
}

constexpr uint32_t kOnCpu = LOITER_MARK_ON_CPU | LOITER_MARK_ON_RQ;
constexpr uint32_t kDelayed = LOITER_MARK_ON_RQ | LOITER_MARK_DELAYED;

INSTANTIATE_TEST_SUITE_P(
    All, TaskStates,
    ::testing::Values(Figures{0, 0, kOnCpu, TaskState::running},                  //
                      Figures{0, 0, LOITER_MARK_ON_RQ, TaskState::runnable},      //
                      Figures{0x200, 0, 0, TaskState::runnable},                  // TASK_WAKING
                      Figures{0x800, 0, 0, TaskState::runnable},                  // TASK_NEW
                      Figures{0x1, 0, 0, TaskState::sleeping},                    //
                      Figures{0x2001, 0, 0, TaskState::sleeping},                 // and freezable
                      Figures{0x1, 0, kOnCpu, TaskState::running},                // about to sleep
                      Figures{0x1, 0, LOITER_MARK_ON_RQ, TaskState::runnable},    // preempted on the way
                      Figures{0x1, 0, kDelayed, TaskState::sleeping},             // delayed dequeue
                      Figures{0x1, 0, LOITER_MARK_MOVED, TaskState::running},     // ran while it was read
                      Figures{0x2, 0, 0, TaskState::uninterruptible},             //
                      Figures{0x102, 0, 0, TaskState::uninterruptible},           // TASK_KILLABLE
                      Figures{0x1000, 0, 0, TaskState::uninterruptible},          // TASK_RTLOCK_WAIT
                      Figures{0x402, 0, 0, TaskState::idle},                      // TASK_IDLE
                      Figures{0x104, 0, 0, TaskState::stopped},                   // TASK_STOPPED
                      Figures{0x108, 0, 0, TaskState::traced},                    // TASK_TRACED
                      Figures{0x8000, 0, 0, TaskState::frozen},                   //
                      Figures{0x40, 0, 0, TaskState::parked},                     //
                      Figures{0x80, 0, 0, TaskState::dead},                       // TASK_DEAD
                      Figures{0x80, 0, kOnCpu, TaskState::running},               // on its last steps
                      Figures{0x80, 0x20, 0, TaskState::zombie},                  // EXIT_ZOMBIE
                      Figures{0, 0x20, kOnCpu, TaskState::zombie},                //
                      Figures{0x80, 0x30, 0, TaskState::zombie},                  // EXIT_TRACE
                      Figures{0x80, 0x10, LOITER_MARK_MOVED, TaskState::dead}));  // EXIT_DEAD

TEST(TaskState, EachHasAWordOfItsOwn) {
  std::set<std::string> words;
  for (int i = 0; i <= static_cast<int>(TaskState::parked); ++i) words.insert(to_string(TaskState(i)));
  EXPECT_EQ(words.size(), 11u);
  EXPECT_FALSE(words.contains("unknown"));
}

TEST(TaskState, ThoseThatWaitAreBlocked) {
  for (TaskState state : {TaskState::sleeping, TaskState::uninterruptible, TaskState::stopped,
                          TaskState::traced, TaskState::frozen, TaskState::idle, TaskState::parked})
    EXPECT_TRUE(is_blocked(state)) << to_string(state);
  for (TaskState state : {TaskState::running, TaskState::runnable, TaskState::zombie, TaskState::dead})
    EXPECT_FALSE(is_blocked(state)) << to_string(state);
}

}  // namespace
}  // namespace loiter
