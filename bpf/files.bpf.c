/*
 * Open files: one record for each descriptor, of one process or of the whole host, written by the kernel's
 * task_file iterator, which holds a reference to the file meanwhile.
 *
 * A thread is visited only where its table is not its leader's (task_seq_get_next, kernel/bpf/task_iter.c):
 * each descriptor comes once.
 */
#include <bpf/bpf_endian.h>
#include "kernel_files.h"
#include "loss.h"

char LICENSE[] SEC("license") = "GPL";

/* What the reader wants to be told of; set before a pass. A host-wide pass is for pipes and sockets. */
__u32 wanted_classes; /* bits: 1 << enum loiter_file_class */
__u64 wanted_inode;   /* 0: any */

static __always_inline __u8 class_of(const struct inode* inode, unsigned long magic) {
  /* First: the type bits of anonymous inodes are none, or since 6.16 those of a regular file. */
  if (magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC) return LOITER_FILE_ANONYMOUS;
  switch (inode->i_mode & S_IFMT) {
    case S_IFREG:
      return LOITER_FILE_REGULAR;
    case S_IFDIR:
      return LOITER_FILE_DIRECTORY;
    case S_IFCHR:
      return LOITER_FILE_CHARACTER;
    case S_IFBLK:
      return LOITER_FILE_BLOCK;
    case S_IFIFO:
      return magic == PIPEFS_MAGIC ? LOITER_FILE_PIPE : LOITER_FILE_FIFO;
    case S_IFSOCK:
      return LOITER_FILE_SOCKET;
    default:
      return LOITER_FILE_OTHER;
  }
}

static __always_inline void copy_v4(__u8 to[16], __be32 address) {
  ((__u32*)to)[2] = bpf_htonl(0xffff);
  ((__u32*)to)[3] = address;
}

static __always_inline void read_inet(struct loiter_socket* to, const struct sock* sk) {
  to->local_port = sk->__sk_common.skc_num;
  to->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
  if (to->family == AF_INET) {
    copy_v4(to->local, sk->__sk_common.skc_rcv_saddr);
    copy_v4(to->remote, sk->__sk_common.skc_daddr);
  } else if (bpf_core_field_exists(struct sock_common, skc_v6_daddr)) {
    if (bpf_probe_read_kernel(to->local, sizeof(to->local), &sk->__sk_common.skc_v6_rcv_saddr) ||
        bpf_probe_read_kernel(to->remote, sizeof(to->remote), &sk->__sk_common.skc_v6_daddr))
      count_loss(LOITER_LOSS_READ_SOCKET);
  }
}

static __always_inline void read_path(struct loiter_socket* to, const struct unix_address* address) {
  const __u32 family_len = sizeof(unsigned short);
  __u64 length = (__u32)address->len;
  if (length <= family_len) return;
  length -= family_len;
  barrier_var(length); /* else clang compares a copy, and the verifier knows nothing of this one */
  if (length > LOITER_UNIX_PATH_LEN) length = LOITER_UNIX_PATH_LEN;
  if (bpf_probe_read_kernel(to->path, length, address->name[0].sun_path)) {
    to->marks |= LOITER_SOCKET_CUT_PATH;
    count_loss(LOITER_LOSS_READ_SOCKET);
    return;
  }
  to->path_len = length;
}

/* The peer is held by this socket, but may be let go of while it is looked at: then what is read here may be
 * of another one. The daemon compares both ends. */
static __always_inline void read_unix(struct loiter_socket* to, struct sock* sk) {
  struct unix_sock* unix_end = bpf_skc_to_unix_sock(sk);
  if (!unix_end) return;
  const struct unix_address* address = unix_end->addr;
  to->name_id = (__u64)address;
  struct unix_sock* peer = bpf_skc_to_unix_sock(unix_end->peer);
  if (peer) {
    const struct unix_address* peer_address = peer->addr;
    const struct socket* peer_socket = peer->sk.sk_socket;
    to->peer_name_id = (__u64)peer_address;
    if (peer_socket)
      to->peer_inode = peer_socket->file->f_inode->i_ino;
    else
      to->marks |= LOITER_SOCKET_PEER_UNBORN;
    if (!address && peer_address) {
      address = peer_address;
      to->marks |= LOITER_SOCKET_PEER_PATH;
    }
  }
  if (address) read_path(to, address);
}

static __always_inline void read_socket(struct loiter_socket* to, struct sock* sk) {
  const long unbounded = 0x7fffffffffffffff; /* MAX_SCHEDULE_TIMEOUT */
  to->family = sk->__sk_common.skc_family;
  to->type = sk->sk_type;
  to->protocol = sk->sk_protocol;
  to->state = sk->__sk_common.skc_state;
  if (sk->sk_rcvtimeo != unbounded) to->marks |= LOITER_SOCKET_RECEIVE_TIMEOUT;
  if (sk->sk_sndtimeo != unbounded) to->marks |= LOITER_SOCKET_SEND_TIMEOUT;
  if (bpf_core_field_exists(possible_net_t, net)) to->net_namespace = sk->__sk_common.skc_net.net->ns.inum;
  if (to->family == AF_INET || to->family == AF_INET6)
    read_inet(to, sk);
  else if (to->family == AF_UNIX)
    read_unix(to, sk);
}

/* Of one process, kernels before 6.7 visit all threads that share the leader's table too ("bpf:
 * task_group_seq_get_next: fix the skip_if_dup_files check"). */
static __always_inline bool shares_leaders_table(const struct task_struct* task) {
  if (task->pid == task->tgid) return false;
  const struct task_struct___files* thread = (const void*)task;
  return thread->files == thread->group_leader->files;
}

SEC("iter/task_file")
int files(struct bpf_iter__task_file* ctx) {
  struct task_struct* task = ctx->task;
  struct file* file = ctx->file;
  if (!task || !file || shares_leaders_table(task)) return 0;
  const struct inode* inode = file->f_inode;
  const struct super_block* super = inode->i_sb;
  unsigned long magic = super->s_magic;
  __u8 file_class = class_of(inode, magic);
  if (!(wanted_classes & (1u << file_class))) return 0;
  if (wanted_inode && wanted_inode != inode->i_ino) return 0;

  struct {
    struct loiter_file file;
    struct loiter_socket socket;
  } record = {};
  record.file.pid = task->tgid;
  record.file.tid = task->pid;
  record.file.fd = ctx->fd;
  record.file.device = super->s_dev;
  record.file.inode = inode->i_ino;
  record.file.description = (__u64)file;
  record.file.rdev = inode->i_rdev;
  record.file.flags = file->f_flags;
  record.file.mode = inode->i_mode;
  record.file.file_class = file_class;
  record.file.access = file->f_mode & (LOITER_FILE_READ | LOITER_FILE_WRITE);
  if (file_class == LOITER_FILE_ANONYMOUS)
    bpf_probe_read_kernel_str(record.file.name, sizeof(record.file.name), file->f_path.dentry->d_name.name);
  if (file_class == LOITER_FILE_SOCKET) {
    struct socket* socket = bpf_sock_from_file(file); /* none for a socket file opened with O_PATH */
    struct sock* sk = socket ? socket->sk : NULL;
    if (sk) read_socket(&record.socket, sk);
    bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
  } else {
    bpf_seq_write(ctx->meta->seq, &record.file, sizeof(record.file));
  }
  return 0;
}
