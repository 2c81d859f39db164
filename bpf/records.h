/*
 * What the kernel side hands to the user side: the one contract between them.
 *
 * Plain C, included by the BPF programs and by the daemon. Fixed-width types, explicit padding, and a
 * static_assert on each size, so that both sides agree whatever compiles them. All times are
 * nanoseconds; `boot` is CLOCK_BOOTTIME, `mono` is CLOCK_MONOTONIC, `clock` and `clock_task` are the
 * scheduler's own (see DESIGN.md section 2).
 */
#ifndef LOITER_BPF_RECORDS_H
#define LOITER_BPF_RECORDS_H

#ifndef __BPF__
#include <assert.h>
#include <linux/types.h>
#endif

#ifdef __cplusplus
#define LOITER_STATIC_ASSERT static_assert
#else
#define LOITER_STATIC_ASSERT _Static_assert
#endif

enum {
  LOITER_COMM_LEN = 16,      /* TASK_COMM_LEN: 15 bytes and a NUL */
  LOITER_FILENAME_LEN = 256, /* an exec'd path longer than this is cut */
  LOITER_SYSCALL_ARGS = 6,
  LOITER_SAVED_REGS = 10, /* x86-64 uses 5 (rbx r12-r15), arm64 10 (x19-x28) */
};

/* Names a thread for ever. The exec id tells a thread from what it was before an exec. */
struct loiter_task_id {
  __u32 tid;  /* in the initial pid namespace */
  __u32 tgid; /* likewise: the process */
  __u64 start_boot_ns;
  __u32 exec_id;
  __u32 pad;
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_task_id) == 24, "contract");

/* --- the event plane: records of the ring buffer ------------------------------------------------ */

enum loiter_event_type {
  LOITER_EVENT_BIRTH = 1,
  LOITER_EVENT_EXEC = 2,
  LOITER_EVENT_EXIT = 3,
  LOITER_EVENT_RENAME = 4,
  LOITER_EVENT_PTHREAD = 5,
};

struct loiter_event {
  __u32 type; /* enum loiter_event_type */
  __u32 pad;
  __u64 boot_ns; /* when it happened */
  struct loiter_task_id task;
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_event) == 40, "contract");

/* A thread or process was made; `event.task` is the new one. Taken in its creator. */
struct loiter_birth {
  struct loiter_event event;
  struct loiter_task_id creator;
  __u64 clone_flags;
  __u32 parent_tgid; /* the process it is a child of: not the creator's with CLONE_PARENT */
  __u32 task_flags;  /* PF_* */
  __u64 tls_base;    /* fs base, tpidr_el0: what libraries of threads know this one by */
  char comm[LOITER_COMM_LEN];
  __u32 slice_state; /* enum loiter_slice_state */
  __u32 slice;       /* with LOITER_SLICE_TAKEN: index of its loiter_slice, the receiver's to give back */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_birth) == 112, "contract");

/* Whether a birth comes with a slice of its creator's stack, or why not. */
enum loiter_slice_state {
  LOITER_SLICE_TAKEN = 0,
  LOITER_SLICE_PROCESS = 1,      /* no thread was made, but a process */
  LOITER_SLICE_OFF = 2,          /* this kernel did not take the program with slices */
  LOITER_SLICE_RATE = 3,         /* its process makes threads faster than slices are taken */
  LOITER_SLICE_NO_SLOT = 4,      /* all slots were in use */
  LOITER_SLICE_UNREADABLE = 5,   /* the stack pointer leads nowhere, or to what is paged out */
  LOITER_SLICE_NO_USER_CODE = 6, /* made by a worker of the kernel, or by a 32-bit program */
  LOITER_SLICE_STATE_COUNT
};

/*
 * A program was executed. `event.task` is what the thread is now: it has the tgid as its tid and the
 * start time of the leader; `old_tid` is what it was called before. Its siblings are gone, each with an
 * exit record of its own.
 */
struct loiter_exec {
  struct loiter_event event;
  __u32 old_tid;
  __u32 filename_len; /* bytes that follow, without the NUL; LOITER_FILENAME_LEN - 1: may be cut */
  char comm[LOITER_COMM_LEN];
  char filename[LOITER_FILENAME_LEN]; /* only filename_len + 1 bytes of it are sent */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_exec) == 64 + LOITER_FILENAME_LEN, "contract");

struct loiter_exit {
  struct loiter_event event;
  __u64 cpu_ns;
  __u32 exit_code; /* as wait4 would tell it */
  __u32 pad;
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_exit) == 56, "contract");

struct loiter_rename {
  struct loiter_event event;
  char comm[LOITER_COMM_LEN]; /* the new name: bytes, of any encoding */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_rename) == 56, "contract");

/* --- calls of the thread library, where somebody asked for uprobes ------------------------------ */

/* X(name, the function it is placed on) */
#define LOITER_PTHREAD_CALLS(X)         \
  X(CREATE, "pthread_create")           \
  X(JOIN, "pthread_join")               \
  X(C11_JOIN, "thrd_join")              \
  X(TRY_JOIN, "pthread_tryjoin_np")     \
  X(TIMED_JOIN, "pthread_timedjoin_np") \
  X(CLOCK_JOIN, "pthread_clockjoin_np") \
  X(DETACH, "pthread_detach")           \
  X(EXIT, "pthread_exit")

enum loiter_pthread_call {
#define LOITER_PTHREAD_CALL_ENUM(name, function) LOITER_PTHREAD_##name,
  LOITER_PTHREAD_CALLS(LOITER_PTHREAD_CALL_ENUM)
#undef LOITER_PTHREAD_CALL_ENUM
      LOITER_PTHREAD_CALL_COUNT
};

/* Whose thread library: what stands where in its pthread_attr_t. */
enum loiter_libc { LOITER_LIBC_GLIBC = 1, LOITER_LIBC_MUSL = 2 };

enum loiter_detached { LOITER_JOINABLE = 0, LOITER_DETACHED = 1, LOITER_DETACHED_UNKNOWN = 2 };

/* A thread entered a function of its thread library. `event.task` is the caller. */
struct loiter_pthread {
  struct loiter_event event;
  __u64 tls_base; /* of the caller */
  __u64 thread;   /* join, detach: the pthread_t meant */
  __u64 routine;  /* create */
  __u64 arg;  /* create: what the routine gets; exit: what the thread returns; join: where its time limit is,
                 0: none */
  __u32 call; /* enum loiter_pthread_call */
  __u32 detached; /* create: enum loiter_detached, by its attributes */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_pthread) == 80, "contract");

/* --- the census: what the task iterator writes -------------------------------------------------- */

/* The readings of one CPU's scheduler clocks belong together: their difference is what counts. */
struct loiter_rq_clock {
  __u64 clock;      /* rq->clock: the scheduler clock at its last update */
  __u64 clock_task; /* rq->clock_task: the same less IRQ and steal time so far */
};

enum { LOITER_CENSUS_MAGIC = 0x4c4f4954 }; /* "LOIT" */

/* Opens and closes a pass. A pass without the closing one is not complete. */
struct loiter_census_mark {
  __u32 magic;
  __u32 cpu; /* the reader's own */
  __u64 mono_ns;
  __u64 boot_ns;
  struct loiter_rq_clock reader; /* of that CPU; 0 where this kernel has no cfs_rq->rq */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_census_mark) == 40, "contract");

/* User registers of a thread in the kernel, in a layout that fits every architecture. */
struct loiter_regs {
  __u64 ip;
  __u64 sp;
  __u64 fp;                        /* rbp, x29 */
  __u64 lr;                        /* x30; 0 on x86-64 */
  __s64 syscall;                   /* number; -1: not in one */
  __u64 args[LOITER_SYSCALL_ARGS]; /* as the kernel took them */
  __u64 saved[LOITER_SAVED_REGS];
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_regs) == 168, "contract");

/*
 * Where a thread was made: its creator's registers and what lay on the creator's stack, from the stack
 * pointer up. It lies in a slot of an array, since it may hold secrets: who took the
 * stack apart wipes it, which nobody could in a ring buffer.
 *
 * To the stack's end where that is near, else 7.4 KiB: 20 frames of C++ take 2 KiB, of CPython 4. Where some
 * of that is not in memory, to the end of the page.
 */
enum { LOITER_SLICE_BYTES = 7616, LOITER_SLICES = 256, LOITER_TLS_WINDOW = 256 };

/* Slots of one array: bpf/slices.h says why so few. */
enum { LOITER_SLICE_GROUP = 4, LOITER_SLICE_GROUPS = LOITER_SLICES / LOITER_SLICE_GROUP };

struct loiter_slice {
  struct loiter_regs regs;
  __u32 size;                  /* of `stack` */
  __u32 ends;                  /* the stack ends behind it; else it is cut */
  __u32 tls_size;              /* of `tls`: 0, or all of it */
  __s32 tls_offset;            /* of tls[0] from the new thread's tls_base */
  __u8 tls[LOITER_TLS_WINDOW]; /* of glibc's struct pthread, where the start routine is */
  __u8 stack[LOITER_SLICE_BYTES];
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_slice) == 184 + LOITER_TLS_WINDOW + LOITER_SLICE_BYTES, "contract");
LOITER_STATIC_ASSERT(LOITER_SLICE_GROUP * sizeof(struct loiter_slice) <= 32768 - 512, "with the map's head");

enum loiter_thread_marks {
  LOITER_MARK_ON_CPU = 1,       /* running on a CPU at this moment */
  LOITER_MARK_ON_RQ = 2,        /* on a run queue: running, runnable, or about to sleep */
  LOITER_MARK_DELAYED = 4,      /* still queued, but asleep: delayed dequeue, Linux 6.12 and later */
  LOITER_MARK_REGS = 8,         /* `regs` holds something */
  LOITER_MARK_COMPAT = 16,      /* the syscall number is of the 32-bit table */
  LOITER_MARK_USER_WORKER = 32, /* io_uring or vhost worker: never was in user mode */
  LOITER_MARK_MOVED = 64,       /* it came off a CPU while it was read: the fields may not belong together */
  LOITER_MARK_FREEZING = 128    /* the freezer of cgroup v2 has it; only in a pass that asked for tls_base */
};

struct loiter_thread {
  struct loiter_task_id id; /* exec_id: of a leader; 0 for other threads, whose it is as well */
  __u32 task_flags;         /* PF_* */
  __u32 state;              /* task->__state */
  __u32 exit_state;
  __u32 marks;       /* enum loiter_thread_marks */
  __u32 cpu;         /* the one it ran on last: exec_start is of that CPU's clock */
  __u32 parent_tgid; /* of a leader; 0 for other threads */
  __u32 uid;         /* likewise */
  __u32 pad;
  __u64 voluntary_switches;
  __u64 involuntary_switches;
  __u64 cpu_ns;
  __u64 exec_start;          /* clock_task of `cpu` when it last ran; 0: unknown */
  struct loiter_rq_clock rq; /* of a few threads of each CPU; 0 elsewhere */
  __u64 tls_base;            /* fs base, tpidr_el0; 0 in a pass that did not ask for it */
  __u64 cgroup_id;           /* likewise */
  char comm[LOITER_COMM_LEN];
  struct loiter_regs regs;
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_thread) == 304, "contract");

/* What an item of a pass is, its first word tells: LOITER_CENSUS_MAGIC a mark, LOITER_STILL_MAGIC one of
 * these, else it is the tid of a whole record: no tid is so large (PID_MAX_LIMIT is 2^22,
 * include/linux/threads.h). */
enum { LOITER_STILL_MAGIC = 0x4c495453 }; /* "STIL" */

/*
 * A thread that sleeps and has not run since the pass before: what was read of it then still holds, but for
 * what others can change of a sleeper, which is here. Not its name: see REFRESH in census.bpf.c.
 */
struct loiter_still {
  __u32 magic;
  __u32 tid;
  __u32 tgid;
  __u32 exec_id;   /* of a leader; 0 for other threads */
  __u32 state;     /* task->__state: a freezer changes it */
  __u32 marks;     /* enum loiter_thread_marks, those of the scheduler: a delayed sleeper leaves the queue */
  __u64 cpu_ns;    /* the same as before: who keeps the record of then can check it */
  __u64 cgroup_id; /* of a leader; 0 for other threads */
  __u32 parent_tgid; /* likewise */
  __u32 pad;
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_still) == 48, "contract");
/* --- details of one process's threads, on request ------------------------------------------------ */

enum {
  LOITER_KERNEL_FRAMES = 24,    /* deeper ones are cut */
  LOITER_KERNEL_SYMBOL_LEN = 56 /* "function+0x12/0x340 [module]" and a NUL; longer ones are cut */
};

enum loiter_kernel_stacks {
  LOITER_KERNEL_STACKS_NONE = 0,
  LOITER_KERNEL_STACKS_BLOCKED_HARD = 1, /* of threads in uninterruptible sleep (D) */
  LOITER_KERNEL_STACKS_ALL = 2,
};

struct loiter_task_detail {
  __u32 tid;
  __u32 ns_tid;        /* in the thread's own pid namespace */
  __u32 kernel_frames; /* innermost first; only so many are sent */
  __u32 pad;
  char frames[LOITER_KERNEL_FRAMES][LOITER_KERNEL_SYMBOL_LEN];
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_task_detail) == 16 + 24 * 56, "contract");

/* --- losses: what the kernel side could not do, by cause, in a per-CPU array -------------------- */

/* X(name, the word in the API, what it means to a person) */
#define LOITER_LOSSES(X)                                                                              \
  X(RING_BIRTH, "ring_full_birth", "thread births dropped: the ring buffer was full")                 \
  X(RING_EXEC, "ring_full_exec", "execs dropped: the ring buffer was full")                           \
  X(RING_EXIT, "ring_full_exit", "thread ends dropped: the ring buffer was full")                     \
  X(RING_RENAME, "ring_full_rename", "renames dropped: the ring buffer was full")                     \
  X(RING_PTHREAD, "ring_full_pthread", "calls of thread libraries dropped: the ring buffer was full") \
  X(READ_ATTRIBUTES, "read_attributes", "attributes of a new thread could not be read")               \
  X(READ_FILENAME, "read_filename", "exec path could not be read")                                    \
  X(READ_NAME, "read_name", "thread name could not be read")                                          \
  X(READ_REGS, "read_registers", "registers of a thread could not be had in a census")                \
  X(READ_CGROUP, "read_cgroup", "cgroup of a thread could not be had in a census")                    \
  X(READ_NS_TID, "read_ns_tid", "tid of a thread in its own namespace could not be had")              \
  X(READ_KERNEL_STACK, "read_kernel_stack", "kernel stack of a thread could not be had")              \
  X(READ_SOCKET, "read_socket", "name or address of a socket could not be read")

enum loiter_loss {
#define LOITER_LOSS_ENUM(name, word, text) LOITER_LOSS_##name,
  LOITER_LOSSES(LOITER_LOSS_ENUM)
#undef LOITER_LOSS_ENUM
      LOITER_LOSS_COUNT
};

/* --- open files: what the task_file iterator writes ---------------------------------------------- */

enum loiter_file_class {
  LOITER_FILE_OTHER = 0,
  LOITER_FILE_REGULAR = 1,
  LOITER_FILE_DIRECTORY = 2,
  LOITER_FILE_CHARACTER = 3,
  LOITER_FILE_BLOCK = 4,
  LOITER_FILE_PIPE = 5,
  LOITER_FILE_FIFO = 6, /* a pipe with a path */
  LOITER_FILE_SOCKET = 7,
  LOITER_FILE_ANONYMOUS = 8, /* eventfd, timerfd, epoll …: `name` tells */
  LOITER_FILE_CLASS_COUNT
};

enum loiter_file_access {
  LOITER_FILE_READ = 1, /* FMODE_READ */
  LOITER_FILE_WRITE = 2 /* FMODE_WRITE */
};

enum { LOITER_FILE_NAME_LEN = 16 };

/* A descriptor. One of class LOITER_FILE_SOCKET is followed by a loiter_socket. */
struct loiter_file {
  __u32 pid; /* tgid */
  __u32 tid; /* the thread whose table it is in: the leader, or one that has a table of its own */
  __u32 fd;
  __u32 device;      /* of the file system: MKDEV, 12 bits major, 20 bits minor */
  __u64 inode;       /* anonymous inodes share one */
  __u64 description; /* equal for descriptors of the same open file (dup, fork, SCM_RIGHTS); else without
                        meaning */
  __u32 rdev;        /* of a device file; as `device` */
  __u32 flags;       /* O_* */
  __u16 mode;        /* S_IFMT and permissions */
  __u8 file_class;   /* enum loiter_file_class */
  __u8 access;       /* enum loiter_file_access */
  __u32 pad;
  char name[LOITER_FILE_NAME_LEN]; /* of an anonymous inode, such as "[eventfd]", cut; empty else */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_file) == 64, "contract");

enum loiter_socket_marks {
  LOITER_SOCKET_RECEIVE_TIMEOUT = 1, /* SO_RCVTIMEO is set */
  LOITER_SOCKET_SEND_TIMEOUT = 2,    /* SO_SNDTIMEO is set */
  LOITER_SOCKET_PEER_PATH = 4,       /* `path` is the peer's: this end has none */
  LOITER_SOCKET_PEER_UNBORN = 8,     /* the peer was not accepted yet: nobody holds it, its listener does */
  LOITER_SOCKET_CUT_PATH = 16        /* `path` could not be read */
};

enum { LOITER_UNIX_PATH_LEN = 108 }; /* sizeof(sockaddr_un::sun_path) */

struct loiter_socket {
  __u16 family;
  __u16 type;
  __u16 protocol;
  __u8 state;       /* include/net/tcp_states.h; unix sockets use them too */
  __u8 marks;       /* enum loiter_socket_marks */
  __u16 local_port; /* host order */
  __u16 remote_port;
  __u32 net_namespace; /* inode number; 0: unknown */
  __u8 local[16];      /* IPv4 as ::ffff:a.b.c.d */
  __u8 remote[16];
  __u64 peer_inode; /* unix: of the socket at the other end; 0: none, or nobody holds it */
  __u64 name_id;    /* unix: equal for a listener and what it accepts; 0: unnamed; else without meaning */
  __u64 peer_name_id;
  __u32 path_len; /* of `path`, which may hold anything; an abstract one begins with a NUL */
  char path[LOITER_UNIX_PATH_LEN];
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_socket) == 184, "contract");

#endif
