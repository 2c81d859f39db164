/*
 * Details of the threads of one process, on request: the tid in the process's own namespace, and the kernel
 * stack in words. The kernel names its own addresses (%pB): reading /proc/kallsyms would want CAP_SYSLOG.
 * And which files a process has mapped as code, by the inode that the kernel has for each.
 */
#include "kernel_files.h"
#include "loss.h"
#include "mapped_file.h"

char LICENSE[] SEC("license") = "GPL";

__u32 kernel_stacks; /* enum loiter_kernel_stacks: set before a pass */

/* One pass at a time runs, and a record does not fit on the stack. */
struct loiter_task_detail record;
__u64 addresses[LOITER_KERNEL_FRAMES];

/* All by bpf_probe_read_kernel: 6.1 refuses an offset from a trusted pointer that it does not know. */
static __always_inline __u32 ns_tid_of(struct task_struct* task) {
  struct pid* pid = BPF_CORE_READ(task, thread_pid);
  if (!pid) return 0; /* it has been reaped */
  __u64 last = (__u64)pid + bpf_core_field_offset(struct pid, numbers) +
               (__u64)BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid) +
               bpf_core_field_offset(struct upid, nr);
  __u32 nr = 0;
  if (bpf_probe_read_kernel(&nr, sizeof(nr), (const void*)last)) count_loss(LOITER_LOSS_READ_NS_TID);
  return nr;
}

static __always_inline void name_frames(struct task_struct* task) {
  long size = bpf_get_task_stack(task, addresses, sizeof(addresses), 0);
  if (size < 0) { /* it runs: it has none that could be read */
    count_loss(LOITER_LOSS_READ_KERNEL_STACK);
    return;
  }
  __u32 count = 0;
  for (__u32 i = 0; i < LOITER_KERNEL_FRAMES && i < size / sizeof(addresses[0]); ++i) {
    if (!addresses[i]) break;
    BPF_SNPRINTF(record.frames[i], sizeof(record.frames[i]), "%pB", addresses[i]);
    count = i + 1;
  }
  record.kernel_frames = count;
}

SEC("iter/task")
int details(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  if (!task) return 0;
  record.tid = task->pid;
  record.ns_tid = ns_tid_of(task);
  record.kernel_frames = 0;
  if (kernel_stacks == LOITER_KERNEL_STACKS_ALL ||
      (kernel_stacks == LOITER_KERNEL_STACKS_BLOCKED_HARD && (task->__state & TASK_UNINTERRUPTIBLE)))
    name_frames(task);
  bpf_seq_write(ctx->meta->seq, &record, __builtin_offsetof(struct loiter_task_detail, frames));
  /* One by one: the verifier of 6.1 loses sight of a length that is not constant. */
  for (__u32 i = 0; i < LOITER_KERNEL_FRAMES && i < record.kernel_frames; ++i)
    bpf_seq_write(ctx->meta->seq, record.frames[i], LOITER_KERNEL_SYMBOL_LEN);
  return 0;
}

/* /proc/PID/maps and stat() tell a file of an overlay by the overlay that it is seen in: one file in each
 * container. Uprobes are placed in the file below, which is the one that is mapped (ovl_mmap(),
 * fs/overlayfs/file.c; d_real_inode() in bpf_uprobe_multi_link_attach()). */
SEC("iter/task_vma")
int mapped_files(struct bpf_iter__task_vma* ctx) {
  struct vm_area_struct* vma = ctx->vma;
  if (!vma) return 0;
  struct file* file = BPF_CORE_READ(vma, vm_file);
  if (!file || !(BPF_CORE_READ(vma, vm_flags) & VM_EXEC)) return 0;
  struct loiter_mapped_file mapped = {
      .start = BPF_CORE_READ(vma, vm_start),
      .inode_id = (__u64)BPF_CORE_READ(file, f_inode),
  };
  bpf_seq_write(ctx->meta->seq, &mapped, sizeof(mapped));
  return 0;
}
