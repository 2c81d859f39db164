/*
 * The census: one record for every thread of the host, written by the kernel's task iterator.
 *
 * The iterator walks pids in ascending order and takes no lock over the pass, so a thread that lives
 * through the whole pass under one pid is always in it. Nothing here stops or wakes the thread read.
 * The record is put together on the stack and handed over once: a pass costs 0.5-0.7 us a thread.
 */
#include "arch.h"
#include "loss.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u8 with_kernel_threads = 0; /* not bool: clang knows no _Bool in a C++ skeleton */

/* Set by the daemon for a pass that wants it: one more cold cache line a thread, 7 % of a pass, for what
 * never changes in a thread's life. */
__u8 with_tls_base;

/* The clocks of a run queue are written by its CPU all the time: reading them for each of 20,000 threads made
 * a pass 13 % longer (bench census). A few readings a CPU and pass do. One pass at a time runs. */
enum { MAX_CPUS = 8192, CLOCK_READS = 8 };
__u32 pass;
__u64 session; /* of the iterator that reads now */
struct {
  __u32 pass;
  __u32 reads;
} clock_reads[MAX_CPUS];

static __always_inline bool wants_clock(__u32 cpu) {
  if (cpu >= MAX_CPUS) return true;
  if (clock_reads[cpu].pass != pass) {
    clock_reads[cpu].pass = pass;
    clock_reads[cpu].reads = 0;
  }
  return clock_reads[cpu].reads++ < CLOCK_READS;
}

/* The kernel moves clock and, a few nanoseconds later, clock_task. That a reading falls in between is left to
 * the daemon, which takes the least difference of a CPU over the pass. */
static __always_inline void read_rq_clock(struct loiter_rq_clock* to, const struct task_struct* task) {
  if (!bpf_core_field_exists(struct cfs_rq, rq)) return; /* CONFIG_FAIR_GROUP_SCHED is off: stays 0 */
  const struct rq* rq = task->se.cfs_rq->rq;
  to->clock_task = *(volatile __u64*)&rq->clock_task;
  to->clock = *(volatile __u64*)&rq->clock;
}

static __always_inline void write_mark(struct seq_file* seq) {
  struct loiter_census_mark mark = {.magic = LOITER_CENSUS_MAGIC};
  const struct task_struct* reader = bpf_get_current_task_btf();
  mark.cpu = reader->thread_info.cpu;
  read_rq_clock(&mark.reader, reader);
  mark.mono_ns = bpf_ktime_get_ns();
  mark.boot_ns = bpf_ktime_get_boot_ns();
  bpf_seq_write(seq, &mark, sizeof(mark));
}

static __always_inline __u32 scheduler_marks(const struct task_struct* task) {
  __u32 marks = 0;
  /* Before on_rq: a delayed sleeper that leaves the queue in between must not look like one awake on it. */
  if (bpf_core_field_exists(struct sched_entity, sched_delayed) &&
      *(volatile unsigned char*)&task->se.sched_delayed)
    marks |= LOITER_MARK_DELAYED;
  if (*(volatile int*)&task->on_rq) marks |= LOITER_MARK_ON_RQ;
  if (task->on_cpu) marks |= LOITER_MARK_ON_CPU;
  if (task->flags & (PF_IO_WORKER | PF_USER_WORKER)) marks |= LOITER_MARK_USER_WORKER;
  return marks;
}

static __always_inline void read_regs(struct loiter_thread* to, struct task_struct* task) {
  const struct pt_regs* regs = (const struct pt_regs*)bpf_task_pt_regs(task);
  if (!regs) {
    count_loss(LOITER_LOSS_READ_REGS);
    return;
  }
  bool compat = arch_is_compat(task, regs);
  to->marks |= LOITER_MARK_REGS | (compat ? LOITER_MARK_COMPAT : 0);
  arch_copy_regs(&to->regs, regs, compat);
}

/* What is the process's and not the thread's: the other threads are spared the cold cache lines. */
static __always_inline void read_process(struct loiter_thread* to, const struct task_struct* task) {
  to->id.exec_id = task->self_exec_id; /* its threads have the same: an exec leaves one alone */
  to->uid = task->cred->uid.val;
  to->parent_tgid = task->real_parent->tgid;
  to->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
  if (!to->cgroup_id) count_loss(LOITER_LOSS_READ_CGROUP);
}

SEC("iter/task")
int census(struct bpf_iter__task* ctx) {
  struct seq_file* seq = ctx->meta->seq;
  struct task_struct* task = ctx->task;
  if (!task) { /* after the last one: the pass is complete */
    write_mark(seq);
    return 0;
  }
  if (ctx->meta->session_id != session) { /* not seq_num == 0: that counts what others may have left out */
    session = ctx->meta->session_id;
    ++pass;
    write_mark(seq);
  }
  if ((task->flags & PF_KTHREAD) && !with_kernel_threads) return 0;

  struct loiter_thread record = {
      .id = {.tid = task->pid, .tgid = task->tgid, .start_boot_ns = task->start_boottime},
      .task_flags = task->flags,
      .voluntary_switches = task->nvcsw,
      .involuntary_switches = task->nivcsw,
      .cpu_ns = task->se.sum_exec_runtime,
      .exec_start = task->se.exec_start,
      .cpu = task->thread_info.cpu,
  };
  /* The state is read after the counts: a thread that wakes in between shows as awake, never as one
   * that sleeps since before it ran. */
  record.marks = scheduler_marks(task);
  record.state = task->__state;
  if (task->flags & PF_EXITING) record.exit_state = task->exit_state; /* 0 else, and a cold cache line */
  if (wants_clock(record.cpu)) read_rq_clock(&record.rq, task);
  if (with_tls_base) record.tls_base = arch_tls_base(task);
  if (!(task->flags & PF_KTHREAD)) read_regs(&record, task);
  if (record.id.tid == record.id.tgid) read_process(&record, task);
  copy_comm(record.comm, task);
  if (*(volatile unsigned long*)&task->nvcsw != record.voluntary_switches ||
      *(volatile unsigned long*)&task->nivcsw != record.involuntary_switches)
    record.marks |= LOITER_MARK_MOVED;
  bpf_seq_write(seq, &record, sizeof(record)); /* no room: the kernel flushes and calls again */
  return 0;
}
