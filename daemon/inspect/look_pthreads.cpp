// The looker's part that knows of descriptors of threads: start routines, and glibc's lists.
#include <algorithm>
#include <unordered_set>

#include "daemon/inspect/look.h"
#include "daemon/inspect/sleeping.h"

namespace loiter {
namespace {

bool same_sleep_of_one(const loiter_thread& before, const loiter_thread& after) {
  return before.id.tid == after.id.tid && sleeps(before) && same_sleep(before, after);
}

}  // namespace

// A process with one thread has none to tell of.
void Looker::find_routines(const std::vector<Mapping>& mappings, Inspection& inspection) {
  if ((inspection.threads.size() < 2 && !inspection.pthreads) || mappings.empty()) return;
  auto layout = layouts_.find(inspection.memory_tid, mappings);
  if (!layout) return;
  const auto kept = kept_.find(inspection.pid);
  const bool same = kept != kept_.end() && kept->second.last && kept->second.code == code_of(mappings);
  routines_.find(inspection, *layout, mappings, same ? kept->second.last.get() : nullptr);
}

// Who ended while somebody is in pthread_join() for it is not forgotten; the joiner is told by where he
// sleeps. He may just have come back, and have made another thread with the same descriptor, which has ended
// by the time that it is looked at again: so the threads and the descriptors are looked at by turns, until
// nothing of the process has run in between, or so often that all of this in each turn is no longer to be
// expected.
Result<std::vector<size_t>> Looker::certainly_unjoined(const PthreadLayout& layout,
                                                       const std::vector<PthreadEntry>& entries,
                                                       const Inspection& inspection, Futexes& futexes) {
  constexpr int kTurns = 5;
  // Descriptors of threads that the kernel has; also of those that ended since the look began: it is as of
  // then.
  std::unordered_set<uint64_t> alive;
  std::vector<loiter_thread> before;
  const auto take = [&](const loiter_thread& record) {
    add_futexes(record, futexes);
    if (record.tls_base && record.exit_state == 0) alive.insert(layout.descriptor_of(record.tls_base));
  };
  for (const InspectedThread& thread : inspection.threads) take(thread.record);
  std::vector<size_t> unjoined = unjoined_of(entries);
  for (int turn = 0; turn < kTurns && !unjoined.empty(); ++turn) {
    if (!reader_->read(inspection.pid, census_))
      return Error{Error::Kind::unavailable, "its threads could not be looked at again"};
    for (const loiter_thread& record : census_.threads) take(record);
    auto still = pthreads_.still_unjoined(inspection.memory_tid, layout, entries, unjoined);
    if (!still) return still;
    unjoined = std::move(*still);
    const bool quiet = std::equal(before.begin(), before.end(), census_.threads.begin(),
                                  census_.threads.end(), same_sleep_of_one);
    if (turn > 0 && quiet) break;
    before = census_.threads;
  }
  std::erase_if(unjoined, [&](size_t index) {
    return alive.contains(entries[index].descriptor) || is_waited_for(entries[index], layout, futexes);
  });
  return unjoined;
}

void Looker::read_pthreads(const std::vector<Mapping>& mappings, Inspection& inspection) {
  const uint32_t pid = inspection.memory_tid;
  const auto give_up = [&](const std::string& why) { inspection.pthreads_failure = why; };
  if (mappings.empty()) return give_up(inspection.failure);
  auto layout = layouts_.find(pid, mappings);
  if (!layout) return give_up(layout.error().message);
  auto entries = pthreads_.read(pid, *layout);
  if (!entries) return give_up(entries.error().message);
  if (!hold_its_threads(*entries, *layout, inspection.threads))
    return give_up("glibc's lists do not hold its threads");
  Futexes futexes;
  auto unjoined = certainly_unjoined(*layout, *entries, inspection, futexes);
  if (!unjoined) return give_up(unjoined.error().message);
  inspection.pthreads = count_pthreads(*layout, *entries, *unjoined, futexes, mappings);
  find_routines(mappings, inspection);
}

// What was read is of this process: one of its threads was there before and is after, the leader where it
// lives.
void Looker::check_pthreads(Inspection& inspection, bool read) const {
  if (!inspection.pthreads) return;
  const bool same =
      read && std::any_of(census_.threads.begin(), census_.threads.end(), [&](const loiter_thread& record) {
        const InspectedThread* thread = inspection.find(record.id.tid);
        return record.id.tid == inspection.memory_tid && thread && same_thread(thread->record, record);
      });
  if (same) return;
  inspection.pthreads.reset();
  inspection.pthreads_failure = "it ended, or became another program, while it was read";
}

}  // namespace loiter
