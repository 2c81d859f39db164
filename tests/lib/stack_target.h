// What a stack parser wants of a process that a test started: its mappings, its files, the stacks of its
// threads.
//
// Any thread. What cannot be read is thrown as std::runtime_error: it ends the test.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/inspect/stack_types.h"

namespace loiter::test {

struct TargetFile {
  ModuleKey key = 0;
  std::string path;  // "[vdso]"
};

struct TargetCode {
  std::vector<CodeMapping> mappings;
  std::vector<TargetFile> files;
};

// Executable mappings; their files get keys from `first_key` on.
TargetCode code_of(pid_t pid, ModuleKey first_key = 1);

// The vDSO is copied out of the process' memory.
Fd open_target_file(pid_t pid, const TargetFile& file);

struct StackCopy {
  loiter_regs regs{};
  uint64_t start = 0;
  std::vector<std::byte> memory;
  bool whole = false;
  StackJob job() const { return {&regs, start, memory, whole}; }
};

// At most `most` bytes from the stack pointer in `regs` upwards.
StackCopy copy_stack(pid_t pid, const loiter_regs& regs, size_t most);

// Stack pointer and instruction pointer of a blocked thread, by /proc; the other registers are 0.
loiter_regs blocked_registers(pid_t pid, pid_t tid);

}  // namespace loiter::test
