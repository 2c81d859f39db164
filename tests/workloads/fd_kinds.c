// fd_kinds [CASE...]: threads that wait in a file descriptor, and for file locks. Told are the descriptor,
// what it is, and the process at its other end where there is one: mostly this one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "tests/workloads/cases.h"

#define HERE(function) #function " thread_of_case"

// The functions that block are given the address of a descriptor.
#define BODY(function, ...)                    \
  NOINLINE static void function(void* given) { \
    const int fd = *(int*)given;               \
    char byte = 'x';                           \
    (void)fd;                                  \
    (void)byte;                                \
    __VA_ARGS__;                               \
    came_back(#function);                      \
  }

BODY(wait_in_read, char bytes[512]; if (read(fd, bytes, sizeof(bytes)) > 0) errno = 0)
BODY(wait_in_recv, recv(fd, &byte, 1, 0))
BODY(wait_in_recvmsg, struct iovec part = {&byte, 1};
     struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1}; recvmsg(fd, &message, 0))
BODY(wait_in_write, while (write(fd, &byte, 1) == 1);)
BODY(wait_in_send, while (send(fd, &byte, 1, 0) == 1);)
BODY(wait_in_accept, accept(fd, NULL, NULL))
BODY(wait_in_poll, struct pollfd one = {.fd = fd, .events = POLLIN}; poll(&one, 1, -1))
BODY(wait_in_poll_timeout, struct pollfd one = {.fd = fd, .events = POLLIN}; poll(&one, 1, AN_HOUR * 1000))
BODY(wait_in_ppoll, struct pollfd one = {.fd = fd, .events = POLLIN}; struct timespec limit = {AN_HOUR, 0};
     ppoll(&one, 1, &limit, NULL))
BODY(wait_in_select, fd_set set; FD_ZERO(&set); FD_SET(fd, &set); select(fd + 1, &set, NULL, NULL, NULL))
BODY(wait_in_select_timeout, fd_set set; FD_ZERO(&set); FD_SET(fd, &set); struct timeval limit = {AN_HOUR, 0};
     select(fd + 1, &set, NULL, NULL, &limit))
BODY(wait_in_epoll_wait, struct epoll_event event; epoll_wait(fd, &event, 1, -1))
BODY(wait_in_epoll_timeout, struct epoll_event event; epoll_wait(fd, &event, 1, AN_HOUR * 1000))
BODY(wait_in_flock, flock(fd, LOCK_EX))
BODY(wait_in_setlkw, struct flock whole = {.l_type = F_WRLCK}; fcntl(fd, F_SETLKW, &whole))
BODY(wait_in_ofd_setlkw, struct flock whole = {.l_type = F_WRLCK}; fcntl(fd, F_OFD_SETLKW, &whole))

static int* keep(int fd) {
  int* kept = (int*)malloc(sizeof(*kept));
  if (fd < 0) die("a descriptor");
  *kept = fd;
  return kept;
}

static void block_in(const char* name, void (*body)(void*), int fd, struct wait wait) {
  wait.fd = fd;
  block(name, body, keep(fd), wait);
}

static int pipe_end(int which) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  return ends[which];
}

// "pipe:[123]", as /proc/PID/fd has it.
static const char* link_of(int fd) {
  static char text[256];
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(path, text, sizeof(text) - 1);
  if (n < 0) die("readlink");
  text[n] = 0;
  return text;
}

static void read_of(const char* name, int fd, const char* object, pid_t peer) {
  block_in(
      name, wait_in_read, fd,
      (struct wait){
          .kind = "read", .call = "read", .object_text = object, .peer = peer, .frames = HERE(wait_in_read)});
}

static void read_pipe(const char* name) {
  const int fd = pipe_end(0);
  read_of(name, fd, link_of(fd), getpid());
}

// Removed at once: nothing stays in /tmp. The path is still that of the descriptor.
static int temporary(const char* what, int (*make)(const char*)) {
  char path[64];
  snprintf(path, sizeof(path), "/tmp/loiter-test-%s-%d", what, getpid());
  unlink(path);
  const int fd = make(path);
  if (fd < 0) die(path);
  unlink(path);
  return fd;
}

static int make_fifo(const char* path) {
  return mkfifo(path, 0600) ? -1 : open(path, O_RDWR | O_CLOEXEC);
}

static void read_fifo(const char* name) {
  read_of(name, temporary("fifo", make_fifo), "loiter-test-fifo", getpid());
}

static void read_tty(const char* name) {
  const int main_end = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (main_end < 0 || grantpt(main_end) || unlockpt(main_end)) die("posix_openpt");
  const char* path = ptsname(main_end);
  read_of(name, open(path, O_RDWR | O_NOCTTY | O_CLOEXEC), path, 0);
}

static void read_eventfd(const char* name) {
  read_of(name, eventfd(0, EFD_CLOEXEC), "eventfd", 0);
}

static void read_timerfd(const char* name) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const struct itimerspec later = {{0, 0}, {AN_HOUR, 0}};
  timerfd_settime(fd, 0, &later, NULL);
  // It goes off then, and that ends the wait.
  block_in(name, wait_in_read, fd,
           (struct wait){.kind = "read",
                         .call = "read",
                         .object_text = "timerfd",
                         .timeout_s = AN_HOUR,
                         .frames = HERE(wait_in_read)});
}

static void read_inotify(const char* name) {
  read_of(name, inotify_init1(IN_CLOEXEC), "inotify", 0);
}

// --- sockets ---------------------------------------------------------------------------------------

static int socket_pair_end(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends)) die("socketpair");
  return ends[0];
}

static struct sockaddr_in loopback(int fd) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(address);
  if (fd >= 0 && getsockname(fd, (struct sockaddr*)&address, &length)) die("getsockname");
  return address;
}

static int tcp_listener(void) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = loopback(-1);
  if (bind(fd, (struct sockaddr*)&address, sizeof(address)) || listen(fd, 4)) die("listen");
  return fd;
}

static int tcp_connection(void) {
  const int listener = tcp_listener();
  struct sockaddr_in address = loopback(listener);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr*)&address, sizeof(address))) die("connect");
  if (accept4(listener, NULL, NULL, SOCK_CLOEXEC) < 0) die("accept4");
  close(listener);
  return fd;
}

static const char* local_address(int fd) {
  static char text[64];
  snprintf(text, sizeof(text), "tcp 127.0.0.1:%d", ntohs(loopback(fd).sin_port));
  return text;
}

static void read_unix(const char* name) {
  read_of(name, socket_pair_end(SOCK_STREAM), "unix", getpid());
}

static void read_tcp(const char* name) {
  const int fd = tcp_connection();
  read_of(name, fd, local_address(fd), getpid());
}

static void recv_tcp(const char* name) {
  const int fd = tcp_connection();
  block_in(name, wait_in_recv, fd,
           (struct wait){.kind = "read",
                         .call = "recvfrom",
                         .object_text = local_address(fd),
                         .peer = getpid(),
                         .frames = HERE(wait_in_recv)});
}

static void recvmsg_unix(const char* name) {
  block_in(name, wait_in_recvmsg, socket_pair_end(SOCK_DGRAM),
           (struct wait){.kind = "read",
                         .call = "recvmsg",
                         .object_text = "unix",
                         .peer = getpid(),
                         .frames = HERE(wait_in_recvmsg)});
}

static void write_pipe(const char* name) {
  const int fd = pipe_end(1);
  block_in(name, wait_in_write, fd,
           (struct wait){.kind = "write",
                         .call = "write",
                         .object_text = link_of(fd),
                         .peer = getpid(),
                         .frames = HERE(wait_in_write)});
}

static void send_unix(const char* name) {
  block_in(name, wait_in_send, socket_pair_end(SOCK_STREAM),
           (struct wait){.kind = "write",
                         .call = "sendto",
                         .object_text = "unix",
                         .peer = getpid(),
                         .frames = HERE(wait_in_send)});
}

static void accept_tcp(const char* name) {
  const int fd = tcp_listener();
  block_in(name, wait_in_accept, fd,
           (struct wait){.kind = "accept",
                         .call = "accept|accept4",
                         .object_text = local_address(fd),
                         .frames = HERE(wait_in_accept)});
}

// An abstract name, which needs no file.
static struct sockaddr_un unix_name(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "loiter-test-backlog-%d", getpid());
  return address;
}

NOINLINE static void wait_in_connect(void* given) {
  struct sockaddr_un address = unix_name();
  connect(*(int*)given, (struct sockaddr*)&address, sizeof(address));
  came_back(__func__);
}

static void connect_unix(const char* name) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = unix_name();
  if (bind(listener, (struct sockaddr*)&address, sizeof(address)) || listen(listener, 1)) die("listen");
  int full = 0;
  while (!full) {
    const int filler = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    full = connect(filler, (struct sockaddr*)&address, sizeof(address)) && errno == EAGAIN;
  }
  block_in(name, wait_in_connect, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
           (struct wait){
               .kind = "connect", .call = "connect", .object_text = "unix", .frames = HERE(wait_in_connect)});
}

// --- one of several --------------------------------------------------------------------------------

static void poll_by(const char* name, void (*body)(void*), const char* calls, int timeout_s,
                    const char* frames) {
  block(name, body, keep(pipe_end(0)),
        (struct wait){.kind = "poll", .call = calls, .timeout_s = timeout_s, .frames = frames});
}

static void poll_plain(const char* name) {
  poll_by(name, wait_in_poll, "poll|ppoll", 0, HERE(wait_in_poll));
}
static void poll_timeout(const char* name) {
  poll_by(name, wait_in_poll_timeout, "poll|ppoll", AN_HOUR, HERE(wait_in_poll_timeout));
}
static void ppoll_timeout(const char* name) {
  poll_by(name, wait_in_ppoll, "ppoll", AN_HOUR, HERE(wait_in_ppoll));
}
static void select_plain(const char* name) {
  poll_by(name, wait_in_select, "select|pselect6", 0, HERE(wait_in_select));
}
static void select_timeout(const char* name) {
  poll_by(name, wait_in_select_timeout, "select|pselect6", AN_HOUR, HERE(wait_in_select_timeout));
}

static void epoll_by(const char* name, void (*body)(void*), int timeout_s, const char* frames) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  if (epoll_ctl(fd, EPOLL_CTL_ADD, pipe_end(0), &event)) die("epoll_ctl");
  block_in(name, body, fd,
           (struct wait){.kind = "poll",
                         .call = "epoll_wait|epoll_pwait",
                         .object_text = "epoll of 1",
                         .timeout_s = timeout_s,
                         .frames = frames});
}

static void epoll_plain(const char* name) {
  epoll_by(name, wait_in_epoll_wait, 0, HERE(wait_in_epoll_wait));
}
static void epoll_timeout(const char* name) {
  epoll_by(name, wait_in_epoll_timeout, AN_HOUR, HERE(wait_in_epoll_timeout));
}

// --- file locks ------------------------------------------------------------------------------------

static char locked_path[64];
static void (*lock_in_child)(int fd);

static void by_flock(int fd) {
  if (flock(fd, LOCK_EX)) die("flock");
}
static void by_setlk(int fd) {
  struct flock whole = {.l_type = F_WRLCK};
  if (fcntl(fd, F_SETLK, &whole)) die("F_SETLK");
}
static void by_ofd_setlk(int fd) {
  struct flock whole = {.l_type = F_WRLCK};
  if (fcntl(fd, F_OFD_SETLK, &whole)) die("F_OFD_SETLK");
}

static void hold_file_lock(int told) {
  lock_in_child(open(locked_path, O_RDWR | O_CLOEXEC));
  if (write(told, "", 1) != 1) die("write");
  rest_for_good();
}

// Held by a child: by a process, not by a thread. Of an open file description's lock the kernel tells no
// owner
// (/proc/locks: -1), so that may be unknown.
static void file_lock(const char* name, void (*lock)(int), void (*body)(void*), const char* call, int named,
                      const char* frames) {
  snprintf(locked_path, sizeof(locked_path), "/tmp/loiter-test-lock-%d", getpid());
  lock_in_child = lock;
  const int fd = open(locked_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const pid_t child = child_running(hold_file_lock);
  unlink(locked_path);
  block_in(name, body, fd,
           (struct wait){.kind = "file_lock",
                         .call = call,
                         .object_text = "loiter-test-lock",
                         .holder = child,
                         .holder_pid = child,
                         .holder_state = named ? "alive" : NULL,
                         .frames = frames,
                         .note = "a process"});
}

static void lock_flock(const char* name) {
  file_lock(name, by_flock, wait_in_flock, "flock", 1, HERE(wait_in_flock));
}
static void lock_setlkw(const char* name) {
  file_lock(name, by_setlk, wait_in_setlkw, "fcntl", 1, HERE(wait_in_setlkw));
}
static void lock_ofd_setlkw(const char* name) {
  file_lock(name, by_ofd_setlk, wait_in_ofd_setlkw, "fcntl", 0, HERE(wait_in_ofd_setlkw));
}

static const struct case_of cases[] = {
    {"read pipe", read_pipe},
    {"read fifo", read_fifo},
    {"read tty", read_tty},
    {"read eventfd", read_eventfd},
    {"read timerfd", read_timerfd},
    {"read inotify", read_inotify},
    {"read unix", read_unix},
    {"read tcp", read_tcp},
    {"recv tcp", recv_tcp},
    {"recvmsg unix", recvmsg_unix},
    {"write pipe", write_pipe},
    {"send unix", send_unix},
    {"accept tcp", accept_tcp},
    {"connect unix", connect_unix},
    {"poll", poll_plain},
    {"poll timeout", poll_timeout},
    {"ppoll timeout", ppoll_timeout},
    {"select", select_plain},
    {"select timeout", select_timeout},
    {"epoll", epoll_plain},
    {"epoll timeout", epoll_timeout},
    {"flock", lock_flock},
    {"fcntl setlkw", lock_setlkw},
    {"fcntl ofd setlkw", lock_ofd_setlkw},
};

int main(int argc, char** argv) {
  return RUN_CASES(cases, argc, argv);
}
