/*
 * Calls of thread libraries: entry probes on pthread_create, join, detach and exit, placed by the daemon in
 * the processes that somebody asked for, or in every process of the host by configuration.
 *
 * Never at a function's return: that breaks Go's stacks, and has got programs with seccomp filters killed
 * (DESIGN.md section 2). What came of a call is told by the births and ends that follow it.
 */
#include "arch.h"
#include "loss.h"

char LICENSE[] SEC("license") = "GPL";

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1024 * 1024); /* the daemon sets it */
} events SEC(".maps");

/* What the daemon gives with each probe that it places. */
enum { COOKIE_CALL_BITS = 8 };

/*
 * glibc: `flags` of struct pthread_attr lies behind a sched_param and a policy, ATTR_FLAG_DETACHSTATE is its
 * bit 0 (sysdeps/nptl/internaltypes.h, unchanged since 2.4). musl: `_a_detach` is __i[6] (include/pthread.h,
 * src/internal/pthread_impl.h; 64-bit).
 */
enum { GLIBC_ATTR_FLAGS = 8, GLIBC_DETACHED = 1, MUSL_ATTR_DETACH = 24 };

static __always_inline __u32 read_detached(__u64 attributes, __u32 libc) {
  /* C11's threads come with a mark in place of attributes: (void*)-1, musl's 1 too */
  if (attributes < 4096 || attributes == ~0ULL) return LOITER_JOINABLE;
  __u32 word = 0;
  __u64 at = attributes + (libc == LOITER_LIBC_MUSL ? MUSL_ATTR_DETACH : GLIBC_ATTR_FLAGS);
  if (bpf_probe_read_user(&word, sizeof(word), (const void*)at)) {
    count_loss(LOITER_LOSS_READ_ATTRIBUTES);
    return LOITER_DETACHED_UNKNOWN;
  }
  if (libc != LOITER_LIBC_MUSL) word &= GLIBC_DETACHED;
  return word ? LOITER_DETACHED : LOITER_JOINABLE;
}

static __always_inline int on_call(struct pt_regs* ctx) {
  const __u64 cookie = bpf_get_attach_cookie(ctx);
  const __u32 call = cookie & ((1 << COOKIE_CALL_BITS) - 1);
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct loiter_pthread* record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
  if (!record) {
    count_loss(LOITER_LOSS_RING_PTHREAD);
    return 0;
  }
  __builtin_memset(record, 0, sizeof(*record));
  record->event.type = LOITER_EVENT_PTHREAD;
  record->event.boot_ns = bpf_ktime_get_boot_ns();
  record->event.task.tid = BPF_CORE_READ(task, pid);
  record->event.task.tgid = BPF_CORE_READ(task, tgid);
  record->event.task.start_boot_ns = BPF_CORE_READ(task, start_boottime);
  record->event.task.exec_id = BPF_CORE_READ(task, self_exec_id);
  record->tls_base = arch_read_tls_base(task);
  record->call = call;
  if (call == LOITER_PTHREAD_CREATE) {
    record->routine = arch_argument(ctx, 2);
    record->arg = arch_argument(ctx, 3);
    record->detached = read_detached(arch_argument(ctx, 1), cookie >> COOKIE_CALL_BITS);
  } else if (call == LOITER_PTHREAD_EXIT) {
    record->arg = arch_argument(ctx, 0);
  } else {
    record->thread = arch_argument(ctx, 0);
    if (call == LOITER_PTHREAD_TIMED_JOIN) record->arg = arch_argument(ctx, 2);
    if (call == LOITER_PTHREAD_CLOCK_JOIN) record->arg = arch_argument(ctx, 3);
  }
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/*
 * Each stands twice: for uprobe.multi, which takes all functions of a library at once, and is right
 * since 6.10; and for a perf event of a name in tracefs each (daemon/sensors/uprobe_events.h).
 */
SEC("uprobe.multi")
int call_multi(struct pt_regs* ctx) {
  return on_call(ctx);
}

SEC("uprobe")
int call_single(struct pt_regs* ctx) {
  return on_call(ctx);
}

/* Placed on a function of the daemon's own: whether probes work here, and what a hit costs. */
__u64 trial_hits;

SEC("uprobe.multi")
int trial_multi(struct pt_regs* ctx) {
  trial_hits += 1;
  return 0;
}

SEC("uprobe")
int trial_single(struct pt_regs* ctx) {
  trial_hits += 1;
  return 0;
}
