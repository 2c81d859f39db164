// Finds what each blocked thread of a process waits for, and on whom: from its registers, the functions on
// its stack, words of its memory, its descriptors, and the kernel's list of file locks.
//
// Owned by the inspector's thread. Whether a thread slept all the while is for the caller to check
// afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/inspect/file_locks.h"
#include "daemon/inspect/futex_object.h"
#include "daemon/inspect/host_lookup.h"
#include "daemon/inspect/inspection.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/opener.h"
#include "daemon/sensors/file_reader.h"
#include "daemon/sensors/file_table.h"
#include "daemon/sensors/task_reader.h"

namespace loiter {

class WaitFinder {
 public:
  WaitFinder(const SharedMemory& memory, Opener& opener, TaskReader& tasks, const HostLookup& host)
      : memory_(memory), opener_(opener), tasks_(tasks), host_(host) {}

  // Fills `wait` of every blocked thread; `shape` of those at futexes is known.
  void find(Inspection& inspection, const std::vector<Mapping>& mappings);

  // The same from registers and descriptors alone.
  void find_without_memory(Inspection& inspection);

  // For a process of which no thread ran since: what it waits for beyond itself may have changed all the
  // same, and is found anew. Becomes a copy where somebody else holds it too.
  void find_again(std::shared_ptr<Inspection>& inspection);

  // Whether that would do: not where a lock may be shared with another process.
  static bool can_find_again(const Inspection& inspection);

 private:
  struct Futex {
    size_t thread = 0;  // index
    std::span<const std::byte> bytes;
  };
  struct Times;  // likewise: where its timeout stands
  void begin(const Inspection& inspection);
  static void start_wait(InspectedThread& thread, WaitCall& call);
  void start_waits(Inspection& inspection);
  void read_words(const Inspection& inspection, std::vector<Futex>& futexes, std::vector<Times>& times);
  void take_times(Inspection& inspection, const std::vector<Times>& times);
  void examine(Inspection& inspection, const std::vector<Mapping>& mappings,
               const std::vector<Futex>& futexes);
  static FutexProcess futex_process(const Inspection& inspection, const OwnerTable& owners);
  void take_owner(InspectedThread& thread, const FutexObject& object, const Inspection& inspection,
                  const Mapping* mapping);
  void take_former_owner(Wait& wait, const FutexObject& object, uint32_t pid, bool same_numbers);
  void look_for_foreign_owner(Wait& wait, const FutexObject& object, const Inspection& inspection,
                              const Mapping& mapping);
  bool is_of_before(const InspectedThread& waiter, const InspectedThread& owner, uint32_t pid) const;
  std::optional<std::vector<PossibleOwner>> owners_now(uint32_t pid);
  void confirm_ends(Inspection& inspection, const std::vector<Futex>& futexes);
  struct Owner {
    uint32_t pid = 0;
    uint32_t tid = 0;
  };
  std::vector<Owner> owners_by_ns_tid(const Inspection& inspection, uint32_t ns_tid);
  bool maps_same_file(uint32_t pid, const Mapping& mapping);
  std::optional<std::string> pid_space(uint32_t pid);
  bool is_shared_by_spaces(uint32_t pid, const Mapping& mapping);
  void find_descriptors(Inspection& inspection);
  void find_descriptor(const Inspection& inspection, const InspectedThread& thread, const WaitCall& call,
                       Wait& wait);
  bool catches_no_signal(uint32_t tid);
  void find_lock_holder(const Inspection& inspection, const InspectedThread& thread, const WaitCall& call,
                        Wait& wait);
  void find_children(Inspection& inspection);
  const OpenFile* own_file(uint32_t pid, uint32_t tid, int fd);
  const FileTable& host_files();

  const SharedMemory& memory_;
  Opener& opener_;
  TaskReader& tasks_;
  const HostLookup& host_;
  std::unique_ptr<FileReader> files_;  // made when first needed
  bool files_refused_ = false;

  // Of the inspection under way:
  std::vector<WaitCall> calls_;              // by index of the thread
  std::map<uint32_t, FileTable> own_files_;  // by the tid whose table it is
  std::optional<FileTable> host_files_;
  std::optional<FileLocks> file_locks_;
  std::optional<std::vector<uint32_t>> other_spaces_;  // processes in pid namespaces other than its own
};

}  // namespace loiter
