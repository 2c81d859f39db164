/*
 * The census: one record for every thread of the host, written by the kernel's task iterator.
 *
 * The iterator walks pids in ascending order and takes no lock over the pass, so a thread that lives
 * through the whole pass under one pid is always in it. Nothing here stops or wakes the thread read.
 * The record is put together on the stack and handed over once: a pass costs 0.5-0.7 us a thread.
 *
 * Most threads have not run since the pass before, and most of the cost is their cold cache lines: such a
 * thread is handed over as a short record (loiter_still), without its registers, counts and name. That it has
 * not run is told by se.exec_start, which every scheduling class sets to its CPU's clock_task when a thread
 * gets onto a CPU and, but for the idle one, when it leaves it (set_next_task_*, update_curr). clock_task is
 * written under the lock of its run queue and never goes back. So a thread with exec_start below a value that
 * clock_task of its CPU had before the pass before began has not got onto a CPU since, and lived all through
 * that pass, in which it was read. From that follows:
 * - A CPU that idles has a clock that stands: then the value is too low, and threads are read in whole for
 * nothing.
 * - A thread that never ran has exec_start 0: always whole. So is one that has its tid from another that
 * ended: to be there it has run, or never did.
 * - A wakeup leaves exec_start alone: state, on_rq and on_cpu are read each time, and what is not plainly
 * asleep is whole. So is what has ended (its exit_state changes), and what is stopped or traced (its
 * registers may).
 * - A thread changes its CPU awake; then its exec_start may be of the old one's clock until it runs. Only a
 * sleeper that delayed dequeue left on the queue can be moved in its sleep and keep that mixture. cpu_ns is
 * in the short record for this: it grows whenever a thread runs, and the reader sees that it did.
 * - It may still be on its way off the CPU (its switch is counted after exec_start is written): then it was
 * read as running in the pass before, and the reader, which knows, takes no short record for such a thread.
 * - Its name, which others may change: events tell, and REFRESH sets right what they missed.
 */
#include "arch.h"
#include "loss.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u8 with_kernel_threads = 0; /* not bool: clang knows no _Bool in a C++ skeleton */

/* Set by the daemon for a pass that wants it: one more cold cache line a thread, 7 % of a pass, for what
 * never changes in a thread's life. */
__u8 with_tls_base;

/* Each pass reads one in so many threads in whole though it is still: whatever was missed is set right by
 * then. */
enum { REFRESH = 32 };

/* Set by the daemon: short records may be given in a pass that follows pass number `still_after` directly; 0:
 * in none. A pass that it could not read to its end, or that another reader took, so makes the next one
 * whole. */
__u32 still_after;
__u8 gives_still; /* in the pass under way */

/* The clocks of a run queue are written by its CPU all the time: reading them for each of 20,000 threads made
 * a pass 13 % longer (bench census). A few readings a CPU and pass do. One pass at a time runs. */
enum { MAX_CPUS = 8192, CLOCK_READS = 8 };
__u32 pass;
__u64 session; /* of the iterator that reads now */
/* The values are readings of clock_task. Static: the skeleton of a C++ program cannot name the type. */
static struct cpu_clock {
  __u32 pass; /* the last one that met a thread of this CPU */
  __u32 reads;
  __u64 latest;
  __u64 before; /* as it was when `pass` began */
  __u64 limit;  /* as it was when the pass before that began: who has run since is not still */
} clocks[MAX_CPUS];

static __always_inline struct cpu_clock* clock_of(__u32 cpu) {
  if (cpu >= MAX_CPUS) return NULL;
  struct cpu_clock* clock = &clocks[cpu];
  if (clock->pass != pass) {
    clock->limit = clock->pass == pass - 1 ? clock->before : clock->latest;
    clock->before = clock->latest;
    clock->pass = pass;
    clock->reads = 0;
  }
  return clock;
}

/* The kernel moves clock and, a few nanoseconds later, clock_task. That a reading falls in between is left to
 * the daemon, which takes the least difference of a CPU over the pass. */
static __always_inline void read_rq_clock(struct loiter_rq_clock* to, const struct task_struct* task) {
  if (!bpf_core_field_exists(struct cfs_rq, rq)) return; /* CONFIG_FAIR_GROUP_SCHED is off: stays 0 */
  const struct rq* rq = task->se.cfs_rq->rq;
  to->clock_task = *(volatile __u64*)&rq->clock_task;
  to->clock = *(volatile __u64*)&rq->clock;
}

static __always_inline void read_cpu_clock(struct loiter_rq_clock* to, const struct task_struct* task,
                                           struct cpu_clock* clock) {
  if (clock && clock->reads >= CLOCK_READS) return;
  read_rq_clock(to, task);
  if (!clock) return;
  ++clock->reads;
  if (to->clock_task > clock->latest) clock->latest = to->clock_task;
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

static __always_inline __u64 read_cgroup(const struct task_struct* task) {
  __u64 id = task->cgroups->dfl_cgrp->kn->id;
  if (!id) count_loss(LOITER_LOSS_READ_CGROUP);
  return id;
}

/* What is the process's and not the thread's: the other threads are spared the cold cache lines. */
static __always_inline void read_process(struct loiter_thread* to, const struct task_struct* task) {
  to->id.exec_id = task->self_exec_id; /* its threads have the same: an exec leaves one alone */
  to->uid = task->cred->uid.val;
  to->parent_tgid = task->real_parent->tgid;
  to->cgroup_id = read_cgroup(task);
}

static __always_inline bool is_plainly_asleep(__u32 state, __u32 marks) {
  const __u32 asleep = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | TASK_FROZEN;
  const __u32 not_plainly = TASK_STOPPED | TASK_TRACED | TASK_NEW | TASK_WAKING;
  if (!(state & asleep) || (state & not_plainly) || (marks & LOITER_MARK_ON_CPU)) return false;
  return !(marks & LOITER_MARK_ON_RQ) || (marks & LOITER_MARK_DELAYED);
}

/* True: `to` is filled and all there is to say. exec_start is read last, so that who runs while it is looked
 * at is not still, and `cpu` before and after, so that it is the one whose clock exec_start is of. */
static __always_inline bool read_still(struct loiter_still* to, const struct task_struct* task) {
  if (!gives_still || with_tls_base || (task->flags & PF_EXITING)) return false;
  __u32 cpu = *(volatile __u32*)&task->thread_info.cpu;
  struct cpu_clock* clock = clock_of(cpu);
  if (!clock || clock->reads < CLOCK_READS) return false; /* its record brings the clock */
  to->marks = scheduler_marks(task);
  to->state = *(volatile unsigned int*)&task->__state;
  if (!is_plainly_asleep(to->state, to->marks)) return false;
  to->cpu_ns = *(volatile __u64*)&task->se.sum_exec_runtime;
  __u64 exec_start = *(volatile __u64*)&task->se.exec_start;
  if (exec_start == 0 || exec_start >= clock->limit) return false;
  if (*(volatile __u32*)&task->thread_info.cpu != cpu) return false;
  to->tid = task->pid;
  if ((to->tid + pass) % REFRESH == 0) return false;
  to->tgid = task->tgid;
  if (to->tid == to->tgid) {
    to->exec_id = task->self_exec_id;
    to->parent_tgid = task->real_parent->tgid;
    to->cgroup_id = read_cgroup(task);
  }
  return true;
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
    gives_still = still_after != 0 && still_after == pass - 1;
    write_mark(seq);
  }
  if ((task->flags & PF_KTHREAD) && !with_kernel_threads) return 0;

  struct loiter_still still = {.magic = LOITER_STILL_MAGIC};
  if (read_still(&still, task)) {
    bpf_seq_write(seq, &still, sizeof(still));
    return 0;
  }
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
  read_cpu_clock(&record.rq, task, clock_of(record.cpu));
  if (with_tls_base) {
    record.tls_base = arch_tls_base(task);
    if (task->jobctl & JOBCTL_TRAP_FREEZE) record.marks |= LOITER_MARK_FREEZING; /* beside exit_state: cold */
  }
  if (!(task->flags & PF_KTHREAD)) read_regs(&record, task);
  if (record.id.tid == record.id.tgid) read_process(&record, task);
  copy_comm(record.comm, task);
  if (*(volatile unsigned long*)&task->nvcsw != record.voluntary_switches ||
      *(volatile unsigned long*)&task->nivcsw != record.involuntary_switches)
    record.marks |= LOITER_MARK_MOVED;
  bpf_seq_write(seq, &record, sizeof(record)); /* no room: the kernel flushes and calls again */
  return 0;
}
