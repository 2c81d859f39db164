/*
 * The kernel's own types, with just the fields that are read here, relocated by CO-RE when a program is
 * loaded: so that building needs no BTF of the build host. A field that not every supported kernel has
 * is asked for with bpf_core_field_exists first.
 */
#ifndef LOITER_BPF_KERNEL_H
#define LOITER_BPF_KERNEL_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rq {
  __u64 clock;
  __u64 clock_task;
};

struct cfs_rq {
  struct rq* rq; /* only with CONFIG_FAIR_GROUP_SCHED */
};

struct sched_entity {
  unsigned char sched_delayed; /* since 6.12 (152e11f6df29, "sched/fair: Implement delayed dequeue") */
  __u64 exec_start;
  __u64 sum_exec_runtime;
  struct cfs_rq* cfs_rq;
};

struct kernfs_node {
  __u64 id;
};

struct cgroup {
  struct kernfs_node* kn;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

typedef struct {
  __u32 val;
} kuid_t;

struct cred {
  kuid_t uid;
};

struct thread_info {
  __u32 status; /* x86: TS_COMPAT */
  __u32 cpu;    /* here since 5.16 (bcf9033e5449) */
};

struct uw_state {
  unsigned long tp_value;
};

struct thread_struct {
  unsigned long fsbase; /* x86-64 */
  struct uw_state uw;   /* arm64 */
};

struct mm_struct {
  unsigned long start_stack; /* of the first thread: what execve left its stack pointer at */
};

struct task_struct {
  struct thread_info thread_info;
  unsigned int __state; /* `state` before 5.14 (2f064a59a11f): older than what is supported */
  unsigned int flags;
  int on_cpu;
  int on_rq;
  struct sched_entity se;
  int exit_state;
  int exit_code;
  unsigned long jobctl;
  int pid;
  int tgid;
  struct task_struct* real_parent;
  unsigned long nvcsw;
  unsigned long nivcsw;
  __u64 start_boottime;
  const struct cred* cred;
  struct mm_struct* mm;
  char comm[16];
  struct css_set* cgroups;
  __u32 self_exec_id;
  struct pid* thread_pid;
  struct thread_struct thread;
};

struct upid {
  int nr;
};

struct pid {
  unsigned int level;
  struct upid numbers[1];
};

struct linux_binprm {
  const char* filename;
};

struct seq_file;

struct bpf_iter_meta {
  struct seq_file* seq;
  __u64 session_id;
  __u64 seq_num;
};

struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

#pragma clang attribute pop

/* For pointers that the program may follow. Two loads, where bpf_probe_read_kernel costs 20 ns. */
static __always_inline void copy_comm(char to[16], const struct task_struct* task) {
  _Static_assert(sizeof(task->comm) == 16, "TASK_COMM_LEN");
  const __u64* comm = (const __u64*)task->comm;
  ((__u64*)to)[0] = comm[0];
  ((__u64*)to)[1] = comm[1];
}

/* include/linux/sched/jobctl.h: since 5.2 (76f969e8948d). */
enum { JOBCTL_TRAP_FREEZE = 1 << 23 };

/* include/linux/sched.h; values that have not changed since 5.14. */
enum {
  TASK_INTERRUPTIBLE = 0x0001,
  TASK_UNINTERRUPTIBLE = 0x0002,
  TASK_STOPPED = 0x0004, /* __TASK_STOPPED, __TASK_TRACED there */
  TASK_TRACED = 0x0008,
  TASK_FROZEN = 0x8000, /* since 6.1 (f5d39b020809) */
  TASK_NEW = 0x0800,
  TASK_WAKING = 0x0200,

  PF_EXITING = 0x00000004,
  PF_IO_WORKER = 0x00000010,
  PF_USER_WORKER = 0x00004000, /* since 6.4 (54e6842d0775) */
  PF_KTHREAD = 0x00200000,
};

#endif
