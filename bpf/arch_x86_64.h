/* What is x86-64's own: registers, syscall numbers of 32-bit programs, the thread pointer. */
#ifndef LOITER_BPF_ARCH_X86_64_H
#define LOITER_BPF_ARCH_X86_64_H

#include "kernel.h"
#include "records.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs {
  unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp;
};
#pragma clang attribute pop

enum { TS_COMPAT = 0x0002 }; /* arch/x86/include/asm/thread_info.h */

static __always_inline bool arch_is_compat(const struct task_struct* task, const struct pt_regs* regs) {
  return task->thread_info.status & TS_COMPAT;
}

static __always_inline __u64 arch_tls_base(const struct task_struct* task) {
  return task->thread.fsbase;
}

/* The same, of a task that the program may not follow pointers into. */
static __always_inline __u64 arch_read_tls_base(const struct task_struct* task) {
  return BPF_CORE_READ(task, thread.fsbase);
}

/* orig_ax is the number of a syscall; exceptions and interrupts leave -1 there (entry_64.S). */
static __always_inline void arch_copy_regs(struct loiter_regs* to, const struct pt_regs* from, bool compat) {
  to->ip = from->ip;
  to->sp = from->sp;
  to->fp = from->bp;
  to->lr = 0;
  to->syscall = (__s64)from->orig_ax;
  if (compat) {
    to->syscall = (__s32)from->orig_ax;
    to->args[0] = (__u32)from->bx;
    to->args[1] = (__u32)from->cx;
    to->args[2] = (__u32)from->dx;
    to->args[3] = (__u32)from->si;
    to->args[4] = (__u32)from->di;
    to->args[5] = (__u32)from->bp;
  } else {
    to->args[0] = from->di;
    to->args[1] = from->si;
    to->args[2] = from->dx;
    to->args[3] = from->r10;
    to->args[4] = from->r8;
    to->args[5] = from->r9;
  }
  to->saved[0] = from->bx;
  to->saved[1] = from->r12;
  to->saved[2] = from->r13;
  to->saved[3] = from->r14;
  to->saved[4] = from->r15;
}

/* The n-th argument of the function at whose entry the registers were taken; n below 4. */
static __always_inline __u64 arch_argument(const struct pt_regs* regs, int n) {
  return n == 0 ? regs->di : n == 1 ? regs->si : n == 2 ? regs->dx : regs->cx;
}

/* glibc 2.36: start_routine at 1592 of struct pthread, which begins at the thread pointer; others near it. */
enum { ARCH_TLS_WINDOW_OFFSET = 1536 };

#endif
