/*
 * The kernel's types behind a file descriptor, with just the fields that files.bpf.c reads: as kernel.h,
 * which has those of threads. Present in Linux 6.1 to 6.18 unless it is asked for with bpf_core_field_exists.
 */
#ifndef LOITER_BPF_KERNEL_FILES_H
#define LOITER_BPF_KERNEL_FILES_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
  __u32 s_dev; /* MKDEV: 12 bits major, 20 bits minor */
  unsigned long s_magic;
};

struct inode {
  unsigned short i_mode;
  __u32 i_rdev;
  struct super_block* i_sb;
  unsigned long i_ino;
};

struct qstr {
  const unsigned char* name;
};

struct dentry {
  struct qstr d_name;
};

struct path {
  struct dentry* dentry;
};

struct file {
  unsigned int f_mode;
  unsigned int f_flags;
  struct inode* f_inode;
  struct path f_path;
};

struct vm_area_struct {
  unsigned long vm_start;
  unsigned long vm_flags;
  struct file* vm_file;
};

struct bpf_iter__task_vma {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
  struct vm_area_struct* vma;
};

enum { VM_EXEC = 0x00000004 };

struct ns_common {
  unsigned int inum;
};

struct net {
  struct ns_common ns;
};

typedef struct {
  struct net* net; /* only with CONFIG_NET_NS */
} possible_net_t;

struct in6_addr {
  __u8 in6_bytes_are_read_as_a_whole[0];
};

struct sock_common {
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  possible_net_t skc_net;
  struct in6_addr skc_v6_daddr; /* only with CONFIG_IPV6 */
  struct in6_addr skc_v6_rcv_saddr;
};

struct socket;

struct sock {
  struct sock_common __sk_common;
  struct socket* sk_socket;
  long sk_rcvtimeo;
  long sk_sndtimeo;
  __u16 sk_protocol;
  __u16 sk_type;
};

struct socket {
  struct file* file;
  struct sock* sk;
};

struct sockaddr_un {
  unsigned short sun_family;
  char sun_path[108];
};

struct unix_address {
  int len; /* of `name`, with sun_family */
  struct sockaddr_un name[0];
};

struct unix_sock {
  struct sock sk;
  struct unix_address* addr;
  struct sock* peer;
};

struct files_struct;

/* Of task_struct; CO-RE leaves out what stands behind the three underscores. */
struct task_struct___files {
  struct files_struct* files;
  struct task_struct___files* group_leader;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
  __u32 fd;
  struct file* file;
};

#pragma clang attribute pop

/* include/uapi/linux/stat.h, include/uapi/linux/magic.h, include/linux/socket.h */
enum {
  S_IFMT = 0170000,
  S_IFSOCK = 0140000,
  S_IFLNK = 0120000,
  S_IFREG = 0100000,
  S_IFBLK = 0060000,
  S_IFDIR = 0040000,
  S_IFCHR = 0020000,
  S_IFIFO = 0010000,

  PIPEFS_MAGIC = 0x50495045,
  ANON_INODE_FS_MAGIC = 0x09041934,
  PID_FS_MAGIC = 0x50494446, /* since 6.9 (cb12fd8e0dab): pidfds were anonymous inodes before */

  AF_UNIX = 1,
  AF_INET = 2,
  AF_INET6 = 10,
};

#endif
