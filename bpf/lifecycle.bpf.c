/*
 * The event plane: births, execs, ends and renames of threads, into a ring buffer.
 *
 * Each handler stands twice: as tp_btf, and as a raw tracepoint for kernels that refuse the first; the
 * daemon loads one of the two. No record wakes the reader: a wakeup costs the traced thread 4-7 us
 * (measured, DESIGN.md section 2), so the daemon drains the ring on a timer.
 *
 * tp_btf may follow the pointers it is given, a raw tracepoint has to call bpf_probe_read_kernel, which costs
 * 10-20 ns a field where a thread's birth and end have 25: hence READ.
 */
#include "arch.h"
#include "loss.h"
#include "slices.h"

char LICENSE[] SEC("license") = "GPL";

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 2 * 1024 * 1024); /* the daemon sets it: --ring-size */
} events SEC(".maps");

const volatile __u8 with_kernel_threads = 0; /* not bool: clang knows no _Bool in a C++ skeleton */

/* `trusted` is a constant wherever this is inlined: what is not taken leaves no instruction behind. */
#define READ(task, field) (trusted ? (task)->field : BPF_CORE_READ(task, field))

static __always_inline bool is_unwanted(struct task_struct* task, const bool trusted) {
  return !with_kernel_threads && (READ(task, flags) & PF_KTHREAD);
}

static __always_inline void fill_id(struct loiter_task_id* id, struct task_struct* task, const bool trusted) {
  id->tid = READ(task, pid);
  id->tgid = READ(task, tgid);
  id->start_boot_ns = READ(task, start_boottime);
  id->exec_id = READ(task, self_exec_id);
  id->pad = 0;
}

static __always_inline void fill_event(struct loiter_event* event, enum loiter_event_type type,
                                       struct task_struct* task, const bool trusted) {
  event->type = type;
  event->pad = 0;
  event->boot_ns = bpf_ktime_get_boot_ns();
  fill_id(&event->task, task, trusted);
}

static __always_inline void read_name(char to[LOITER_COMM_LEN], const char* from) {
  if (bpf_probe_read_kernel_str(to, LOITER_COMM_LEN, from) < 0) {
    to[0] = 0;
    count_loss(LOITER_LOSS_READ_NAME);
  }
}

/* Runs in the creator, after the new task has its pid and start time and before it first runs. The slice
 * comes last: the record must not hold the ring's reader up for longer than it has to, but without a record
 * nobody would give the slot back. */
static __always_inline int on_birth(struct task_struct* task, __u64 clone_flags, const bool trusted) {
  if (is_unwanted(task, trusted)) return 0;
  struct loiter_birth* record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
  if (!record) {
    count_loss(LOITER_LOSS_RING_BIRTH);
    return 0;
  }
  fill_event(&record->event, LOITER_EVENT_BIRTH, task, trusted);
  fill_id(&record->creator,
          trusted ? bpf_get_current_task_btf() : (struct task_struct*)bpf_get_current_task(), trusted);
  record->clone_flags = clone_flags;
  record->parent_tgid = trusted ? task->real_parent->tgid : BPF_CORE_READ(task, real_parent, tgid);
  record->task_flags = READ(task, flags);
  record->tls_base = trusted ? arch_tls_base(task) : arch_read_tls_base(task);
  if (trusted)
    copy_comm(record->comm, task);
  else
    read_name(record->comm, task->comm);
  record->slice_state = take_slice(&record->slice, record->event.task.tgid, clone_flags, record->tls_base,
                                   record->event.boot_ns);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

/* Runs after de_thread: the pid is the tgid by now, the siblings are gone. */
static __always_inline int on_exec(struct task_struct* task, int old_tid, struct linux_binprm* bprm) {
  struct loiter_exec record;
  fill_event(&record.event, LOITER_EVENT_EXEC, task, false);
  record.old_tid = old_tid;
  read_name(record.comm, task->comm);
  long length =
      bpf_probe_read_kernel_str(record.filename, sizeof(record.filename), BPF_CORE_READ(bprm, filename));
  if (length < 1 || length > LOITER_FILENAME_LEN) {
    count_loss(LOITER_LOSS_READ_FILENAME);
    record.filename[0] = 0;
    length = 1;
  }
  record.filename_len = length - 1;
  if (bpf_ringbuf_output(&events, &record, __builtin_offsetof(struct loiter_exec, filename) + length,
                         BPF_RB_NO_WAKEUP))
    count_loss(LOITER_LOSS_RING_EXEC);
  return 0;
}

static __always_inline int on_exit(struct task_struct* task, const bool trusted) {
  if (is_unwanted(task, trusted)) return 0;
  struct loiter_exit* record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
  if (!record) {
    count_loss(LOITER_LOSS_RING_EXIT);
    return 0;
  }
  fill_event(&record->event, LOITER_EVENT_EXIT, task, trusted);
  record->cpu_ns = READ(task, se.sum_exec_runtime);
  record->exit_code = READ(task, exit_code);
  record->pad = 0;
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

static __always_inline int on_rename(struct task_struct* task, const char* comm) {
  if (is_unwanted(task, false)) return 0;
  struct loiter_rename* record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
  if (!record) {
    count_loss(LOITER_LOSS_RING_RENAME);
    return 0;
  }
  fill_event(&record->event, LOITER_EVENT_RENAME, task, false);
  read_name(record->comm, comm);
  bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
  return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(birth_btf, struct task_struct* task, __u64 clone_flags) {
  return on_birth(task, clone_flags, true);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_btf, struct task_struct* task, int old_tid, struct linux_binprm* bprm) {
  return on_exec(task, old_tid, bprm);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exit_btf, struct task_struct* task) {
  return on_exit(task, true);
}

SEC("tp_btf/task_rename")
int BPF_PROG(rename_btf, struct task_struct* task, const char* comm) {
  return on_rename(task, comm);
}

SEC("raw_tp/task_newtask")
int BPF_PROG(birth_raw, struct task_struct* task, __u64 clone_flags) {
  return on_birth(task, clone_flags, false);
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(exec_raw, struct task_struct* task, int old_tid, struct linux_binprm* bprm) {
  return on_exec(task, old_tid, bprm);
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(exit_raw, struct task_struct* task) {
  return on_exit(task, false);
}

SEC("raw_tp/task_rename")
int BPF_PROG(rename_raw, struct task_struct* task, const char* comm) {
  return on_rename(task, comm);
}
