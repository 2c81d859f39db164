// Finds what each blocked thread of a process waits for, and on whom: from its registers, the functions on
// its stack, words of its memory, its descriptors, and the kernel's list of file locks.
//
// Owned by the inspector's thread. Whether a thread slept all the while is for the caller to check
// afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

namespace loiter {

class WaitFinder {
 public:
  WaitFinder(const SharedMemory& memory, Opener& opener, const HostLookup& host)
      : memory_(memory), opener_(opener), host_(host) {}

  // True where the functions on its stack are needed to tell what a thread waits for.
  bool wants_stack(const InspectedThread& thread) const;

  // Fills `wait` of every blocked thread.
  void find(Inspection& inspection, const std::vector<Mapping>& mappings);

  // The same from registers and descriptors alone.
  void find_without_memory(Inspection& inspection);

 private:
  struct Futex;  // of one thread: its shape and what was read of it
  struct Times;  // likewise: where its timeout stands
  void start_waits(Inspection& inspection);
  void read_words(const Inspection& inspection, std::vector<Futex>& futexes, std::vector<Times>& times);
  void take_times(Inspection& inspection, const std::vector<Times>& times);
  void examine(Inspection& inspection, const std::vector<Mapping>& mappings,
               const std::vector<Futex>& futexes);
  void look_for_foreign_owner(Wait& wait, const FutexObject& object, const Inspection& inspection,
                              const Mapping* mapping);
  void find_descriptors(Inspection& inspection);
  void find_descriptor(const Inspection& inspection, const InspectedThread& thread, const WaitCall& call,
                       Wait& wait);
  void find_lock_holder(const Inspection& inspection, const WaitCall& call, Wait& wait);
  void find_children(Inspection& inspection);
  const FileTable& own_files(uint32_t pid);
  const FileTable& host_files();

  const SharedMemory& memory_;
  Opener& opener_;
  const HostLookup& host_;
  std::unique_ptr<FileReader> files_;  // made when first needed
  bool files_refused_ = false;

  // Of the inspection under way:
  std::vector<WaitCall> calls_;  // by index of the thread
  bool has_musl_ = false;
  std::optional<FileTable> own_files_, host_files_;
  std::optional<FileLocks> file_locks_;
};

}  // namespace loiter
