/* Counts what a program could not do, by cause. Nothing is lost silently. */
#ifndef LOITER_BPF_LOSS_H
#define LOITER_BPF_LOSS_H

#include "kernel.h"
#include "records.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, LOITER_LOSS_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} losses SEC(".maps");

static __always_inline void count_loss(enum loiter_loss cause) {
  __u32 key = cause;
  __u64* count = bpf_map_lookup_elem(&losses, &key);
  if (count) /* always: the key is below max_entries */
    *count += 1;
}

#endif
