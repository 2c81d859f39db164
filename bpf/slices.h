/*
 * Where threads are made: the creator's registers and a slice of its stack at the moment of creation, into a
 * slot that the daemon reads and wipes.
 *
 * Slots that are free lie on a stack: the one given back last is taken next, and is still in the caches. From
 * a queue each slot came cold.
 *
 * Four slots are an array of their own. An array of 32 KiB comes from kmalloc (bpf_map_area_alloc(),
 * kernel/bpf/syscall.c) and so lies in the kernel's linear map, which large pages cover. In one array of all
 * slots (vmalloc, or what the daemon could map: pages of 4 KiB) the first touch of each was a page walk:
 * under a hypervisor 0.7 us of the 1.85 that a birth with a slice took. So it takes 1.2 to 1.3 in all
 * (measured on EPYC, kernel.bpf_stats_enabled).
 *
 * A slice is taken of every thread's creator but for two bounds. Each process has a token bucket, so that one
 * that makes 20,000 threads a second is sampled; and there are no more slots than LOITER_SLICES, which the
 * daemon empties each 50 ms and unwinds when it has time. The fewer are left, the smaller the buckets: who
 * has taken many is refused first, and who makes a thread now and then finds a slot beside any storm. What
 * has none says why in its birth record: births themselves are never lost for it.
 */
#ifndef LOITER_BPF_SLICES_H
#define LOITER_BPF_SLICES_H

#include "arch.h"

const volatile __u8 with_slices = 1; /* not bool: clang knows no _Bool in a C++ skeleton */

/* The bucket of a process where all slots are free, and what comes in again each second: 500. The bucket
 * shrinks with the slots, so a process alone gets 170 slices at once (n <= 512 * (256 - n) / 256), and a
 * server that makes a thread for each of 500 requests a second loses none. */
enum { SLICE_BURST = 512, SLICE_INTERVAL_NS = 2000000 };

/* A read that fails costs the creator 7 us (measured: an exception in a guest), four times the rest. The
 * stacks of a process in which so many have failed (arrays on them that were never touched, stacks of its own
 * making) are read to the end of the first page from then on. */
enum { SLICE_MOST_FAULTS = 16 };

enum { PAGE_BYTES = 4096, SLICE_RATED_PROCESSES = 1024 }; /* larger pages are whole numbers of these */

/* include/uapi/linux/sched.h */
enum { CLONE_THREAD = 0x00010000, CLONE_SETTLS = 0x00080000 };

struct slice_group {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, LOITER_SLICE_GROUP);
  __type(key, __u32);
  __uint(value_size, sizeof(struct loiter_slice)); /* by type clang only declares it */
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, LOITER_SLICE_GROUPS); /* the daemon makes them */
  __type(key, __u32);
  __array(values, struct slice_group);
} slices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_STACK);
  __uint(max_entries, LOITER_SLICES);
  __uint(value_size, sizeof(__u32));
} free_slices SEC(".maps");

/* Taken and not given back; the daemon subtracts what it gives back. */
__u32 slices_in_use;

struct slice_rate {
  __u64 full_at; /* when the bucket is full again, on CLOCK_BOOTTIME */
  __u64 faults;
};

/* By tgid. Should two threads of a process take at once, one token may be counted for both. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, SLICE_RATED_PROCESSES);
  __type(key, __u32);
  __type(value, struct slice_rate);
} slice_rates SEC(".maps");

static __always_inline struct loiter_slice* slice_at(__u32 slot) {
  __u32 group = slot / LOITER_SLICE_GROUP, within = slot % LOITER_SLICE_GROUP;
  void* slices_together = bpf_map_lookup_elem(&slices, &group);
  return slices_together ? bpf_map_lookup_elem(slices_together, &within) : NULL;
}

static __always_inline struct slice_rate* rate_of(__u32 tgid) {
  struct slice_rate* rate = bpf_map_lookup_elem(&slice_rates, &tgid);
  if (rate) return rate;
  struct slice_rate none = {};
  bpf_map_update_elem(&slice_rates, &tgid, &none, BPF_ANY);
  return bpf_map_lookup_elem(&slice_rates, &tgid);
}

static __always_inline bool take_token(struct slice_rate* rate, __u64 now) {
  __u64 at = rate->full_at;
  __u32 in_use = slices_in_use;
  __u64 burst = in_use < LOITER_SLICES ? (LOITER_SLICES - in_use) * SLICE_BURST / LOITER_SLICES : 0;
  if (at > now + burst * SLICE_INTERVAL_NS) return false;
  rate->full_at = (at > now ? at : now) + SLICE_INTERVAL_NS;
  return true;
}

/*
 * How far the stack reaches, as far as that is plain: the first thread's begins where execve put it, and
 * glibc and musl keep their struct of a thread, which the thread pointer leads to, at the top of its stack.
 * What lies behind (environment, thread-local data) is nobody's business, and a read that runs into what is
 * not mapped costs the creator 7 us.
 */
static __always_inline __u64 stack_size(const struct task_struct* creator, __u64 sp) {
  enum { FIRST_FRAME = 64 }; /* what _start may look at */
  __u64 size = LOITER_SLICE_BYTES;
  __u64 first = creator->mm->start_stack + FIRST_FRAME;
  if (first > sp && first - sp < size) size = first - sp;
  __u64 tls_base = arch_tls_base(creator);
  if (tls_base > sp && tls_base - sp < size) size = tls_base - sp;
  return size;
}

/* bpf_probe_read_user is all or nothing: where it fails, again to the end of the first page. False: not even
 * the stack pointer leads anywhere. */
static __always_inline bool copy_stack(struct loiter_slice* slice, const struct task_struct* creator,
                                       __u64 sp, struct slice_rate* rate) {
  __u64 size = stack_size(creator, sp);
  barrier_var(size);
  if (size == 0 || size > LOITER_SLICE_BYTES) return false; /* never; the verifier wants to know */
  slice->size = size;
  slice->ends = size < LOITER_SLICE_BYTES;
  if (rate->faults < SLICE_MOST_FAULTS) {
    if (!bpf_probe_read_user(slice->stack, size, (const void*)sp)) return true;
    ++rate->faults;
  }
  __u64 first = PAGE_BYTES - (sp & (PAGE_BYTES - 1));
  if (first < size) {
    slice->size = first;
    slice->ends = 0;
  } else {
    first = size;
  }
  barrier_var(first);
  return first <= PAGE_BYTES && !bpf_probe_read_user(slice->stack, first, (const void*)sp);
}

static __always_inline enum loiter_slice_state fill_slice(struct loiter_slice* slice,
                                                          const struct task_struct* creator,
                                                          const struct pt_regs* regs, __u64 tls_base,
                                                          struct slice_rate* rate) {
  arch_copy_regs(&slice->regs, regs, false);
  if (!copy_stack(slice, creator, slice->regs.sp, rate)) return LOITER_SLICE_UNREADABLE;
  slice->tls_size = 0;
  slice->tls_offset = ARCH_TLS_WINDOW_OFFSET;
  if (tls_base && !bpf_probe_read_user(slice->tls, sizeof(slice->tls),
                                       (const void*)(tls_base + (__s64)ARCH_TLS_WINDOW_OFFSET)))
    slice->tls_size = sizeof(slice->tls);
  return LOITER_SLICE_TAKEN;
}

/* In task_newtask. `slot`: which it is, with LOITER_SLICE_TAKEN. */
static __always_inline enum loiter_slice_state take_slice(__u32* slot, __u32 tgid, __u64 clone_flags,
                                                          __u64 tls_base, __u64 now) {
  *slot = 0;
  if (!(clone_flags & CLONE_THREAD)) return LOITER_SLICE_PROCESS;
  if (!with_slices) return LOITER_SLICE_OFF;
  struct task_struct* creator = bpf_get_current_task_btf();
  if (creator->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) return LOITER_SLICE_NO_USER_CODE;
  const struct pt_regs* regs = (const struct pt_regs*)bpf_task_pt_regs(creator);
  if (arch_is_compat(creator, regs)) return LOITER_SLICE_NO_USER_CODE;
  struct slice_rate* rate = rate_of(tgid);
  if (!rate || !take_token(rate, now)) return LOITER_SLICE_RATE;
  __u32 index = 0;
  if (bpf_map_pop_elem(&free_slices, &index)) return LOITER_SLICE_NO_SLOT;
  __sync_fetch_and_add(&slices_in_use, 1);
  struct loiter_slice* slice = slice_at(index);
  if (!slice) return LOITER_SLICE_NO_SLOT; /* never: only slots that there are have been pushed */
  enum loiter_slice_state state =
      fill_slice(slice, creator, regs, clone_flags & CLONE_SETTLS ? tls_base : 0, rate);
  if (state == LOITER_SLICE_TAKEN) {
    *slot = index;
  } else { /* the stack was filled with zeros by the read that failed */
    __builtin_memset(&slice->regs, 0, sizeof(slice->regs));
    bpf_map_push_elem(&free_slices, &index, BPF_ANY);
    __sync_fetch_and_add(&slices_in_use, -1);
  }
  return state;
}

#endif
