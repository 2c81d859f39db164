/*
 * A file that a process has mapped as code, as details.bpf.c tells it to daemon/sensors/task_reader.h: as
 * records.h, apart from it since few need it.
 */
#ifndef LOITER_BPF_MAPPED_FILE_H
#define LOITER_BPF_MAPPED_FILE_H

#include "records.h"

struct loiter_mapped_file {
  __u64 start;    /* of the mapping */
  __u64 inode_id; /* equal for mappings of one inode, as uprobes go by it; else without meaning */
};
LOITER_STATIC_ASSERT(sizeof(struct loiter_mapped_file) == 16, "contract");

#endif
