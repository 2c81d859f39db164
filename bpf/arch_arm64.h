/* What is arm64's own: registers, 32-bit programs, the thread pointer. */
#ifndef LOITER_BPF_ARCH_ARM64_H
#define LOITER_BPF_ARCH_ARM64_H

#include "kernel.h"
#include "records.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs {
  __u64 regs[31];
  __u64 sp;
  __u64 pc;
  __u64 pstate;
  __u64 orig_x0;
  __s32 syscallno;
};
#pragma clang attribute pop

enum { PSR_MODE32_BIT = 0x10 }; /* arch/arm64/include/uapi/asm/ptrace.h */

static __always_inline bool arch_is_compat(const struct task_struct* task, const struct pt_regs* regs) {
  return regs->pstate & PSR_MODE32_BIT;
}

static __always_inline __u64 arch_tls_base(const struct task_struct* task) {
  return task->thread.uw.tp_value;
}

/* The same, of a task that the program may not follow pointers into. */
static __always_inline __u64 arch_read_tls_base(const struct task_struct* task) {
  return BPF_CORE_READ(task, thread.uw.tp_value);
}

/* syscallno is -1 (NO_SYSCALL) outside of one; x0 is overwritten by the result, orig_x0 is not. */
static __always_inline void arch_copy_regs(struct loiter_regs* to, const struct pt_regs* from, bool compat) {
  to->ip = from->pc;
  to->sp = compat ? from->regs[13] : from->sp;
  to->fp = from->regs[29];
  to->lr = from->regs[30];
  to->syscall = from->syscallno;
  to->args[0] = from->orig_x0;
  to->args[1] = from->regs[1];
  to->args[2] = from->regs[2];
  to->args[3] = from->regs[3];
  to->args[4] = from->regs[4];
  to->args[5] = from->regs[5];
  to->saved[0] = from->regs[19];
  to->saved[1] = from->regs[20];
  to->saved[2] = from->regs[21];
  to->saved[3] = from->regs[22];
  to->saved[4] = from->regs[23];
  to->saved[5] = from->regs[24];
  to->saved[6] = from->regs[25];
  to->saved[7] = from->regs[26];
  to->saved[8] = from->regs[27];
  to->saved[9] = from->regs[28];
}

/* The n-th argument of the function at whose entry the registers were taken; n below 4. */
static __always_inline __u64 arch_argument(const struct pt_regs* regs, int n) {
  return n == 0 ? regs->regs[0] : n == 1 ? regs->regs[1] : n == 2 ? regs->regs[2] : regs->regs[3];
}

/* struct pthread ends at the thread pointer there; glibc 2.36: start_routine some 780 bytes below it. Not
 * tried. */
enum { ARCH_TLS_WINDOW_OFFSET = -896 };

#endif
