// descriptors [net]: descriptors of all sorts, each told by its number, with the processes that hold its
// other end. With "net" it goes into a network, mount and pid namespace of its own first. A child of it holds
// the "far" ends:
// {"fact": "fd", "kind": K, "fd": N, "pid": P, "peer_pid": P, "peer_fd": N}.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <string>

#include "tests/workloads/facts.h"

using namespace loiter::workload;

namespace {

int check(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

void tell(const char* kind, int fd, int peer_fd, const char* peer = "self") {
  fact(R"({"fact": "fd", "kind": "%s", "fd": %d, "peer": "%s", "peer_fd": %d})", kind, fd, peer, peer_fd);
}

void loopback_up() {
  const int control = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  check(ioctl(control, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
  close(control);
}

// A pid namespace is of children alone: this process goes on in one, the first of it, and its parent waits.
void enter_namespaces() {
  check(unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID), "unshare");
  check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount");
  loopback_up();
  const pid_t child = check(fork(), "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return;
  }
  int status = 0;
  waitpid(child, &status, 0);
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void make_pipe() {
  int ends[2];
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  tell("pipe", ends[0], ends[1]);
}

void make_socketpair() {
  int ends[2];
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
  tell("socketpair", ends[0], ends[1]);
}

void make_fifo(const std::string& folder) {
  const std::string path = folder + "/fifo";
  check(mkfifo(path.c_str(), 0600), "mkfifo");
  const int both = check(open(path.c_str(), O_RDWR | O_CLOEXEC), "open");
  tell("fifo", check(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open"), both);
}

void make_unix(const std::string& folder, bool accepted) {
  sockaddr_un address{AF_UNIX, {}};
  const std::string path = folder + (accepted ? "/accepted" : "/waiting");
  strcpy(address.sun_path, path.c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const int listener = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  check(bind(listener, generic, sizeof(address)), "bind");
  check(listen(listener, 5), "listen");
  const int client = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  check(connect(client, generic, sizeof(address)), "connect");
  if (accepted)
    tell("unix", client, check(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  else
    tell("unix_waiting", client, listener);
}

// The client is IPv4, the server's socket IPv6 if `mapped`.
void make_inet(const char* kind, int type, bool mapped, bool accepted) {
  const int listener = check(socket(mapped ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (mapped)
    check(bind(listener, reinterpret_cast<sockaddr*>(&any6), sizeof(any6)), "bind");
  else
    check(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), "bind");
  if (type == SOCK_STREAM) check(listen(listener, 5), "listen");
  sockaddr_in6 bound{};
  socklen_t size = sizeof(bound);
  check(getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size), "getsockname");
  address.sin_port = mapped ? bound.sin6_port : reinterpret_cast<sockaddr_in&>(bound).sin_port;
  const int client = check(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
  const timeval limit{100, 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  check(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), "connect");
  tell(kind, client,
       accepted ? check(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept") : listener);
}

void make_events() {
  const int event = check(eventfd(3, EFD_CLOEXEC), "eventfd");
  tell("eventfd", event, fcntl(event, F_DUPFD_CLOEXEC, 0));
  const int timer = check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd");
  const itimerspec due{{0, 0}, {1000, 0}};
  timerfd_settime(timer, 0, &due, nullptr);
  tell("timerfd", timer, -1, "none");
  const int epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll");
  for (int fd : {event, timer}) {
    epoll_event wanted{EPOLLIN, {}};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted), "epoll_ctl");
  }
  tell("epoll", epoll, -1, "none");
}

// The reading end stays here, the writing end and nothing else is with a child, whose pid as the host has it
// is for the test to find: it is the only child.
void make_pipe_to_child() {
  int ends[2];
  check(pipe2(ends, 0), "pipe2");
  const pid_t parent = getpid();
  if (check(fork(), "fork") == 0) {
    die_with_parent(parent);
    close_range(STDERR_FILENO + 1, static_cast<unsigned>(ends[1] - 1), 0);
    close_range(static_cast<unsigned>(ends[1] + 1), ~0u, 0);
    if (write(ends[1], "x", 1) != 1) die("write");
    block_forever();
  }
  close(ends[1]);
  char closed;
  if (read(ends[0], &closed, 1) != 1) die("read");
  tell("child_pipe", ends[0], ends[1], "child");
}

void make_locks(const std::string& folder) {
  const std::string path = folder + "/locked";
  const int file = check(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open");
  check(flock(file, LOCK_EX), "flock");
  tell("flock", file, -1, "none");
  const std::string other = folder + "/ofd";
  const int ofd = check(open(other.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open");
  struct flock lock {};
  lock.l_type = F_WRLCK;
  check(fcntl(ofd, F_OFD_SETLK, &lock), "F_OFD_SETLK");
  tell("ofd", ofd, -1, "none");
  const int again = check(open(path.c_str(), O_RDWR | O_CLOEXEC), "open");
  tell("flock_waiter", again, -1, "none");
  start_thread([again] { flock(again, LOCK_EX); });
  const int ofd_again = check(open(other.c_str(), O_RDWR | O_CLOEXEC), "open");
  start_thread([ofd_again] {
    struct flock wanted {};
    wanted.l_type = F_WRLCK;
    fcntl(ofd_again, F_OFD_SETLKW, &wanted);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "net") enter_namespaces();
  char folder[] = "/tmp/loiter-descriptors.XXXXXX";
  if (!mkdtemp(folder)) die("mkdtemp");
  make_pipe();
  make_socketpair();
  make_fifo(folder);
  make_unix(folder, true);
  make_unix(folder, false);
  make_inet("tcp", SOCK_STREAM, false, true);
  make_inet("tcp_mapped", SOCK_STREAM, true, true);
  make_inet("tcp_waiting", SOCK_STREAM, false, false);
  make_inet("udp", SOCK_DGRAM, false, false);
  make_events();
  make_locks(folder);
  make_pipe_to_child();
  // Nothing stays behind: whoever has them open keeps them.
  for (const char* name : {"fifo", "accepted", "waiting", "locked", "ofd"})
    unlink((std::string(folder) + '/' + name).c_str());
  rmdir(folder);
  return serve([](const std::string&) {});
}
