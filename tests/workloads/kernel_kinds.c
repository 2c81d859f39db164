// kernel_kinds [CASE...]: processes that the kernel itself keeps asleep: at a file system that is frozen, at
// one whose server is silent, in a frozen cgroup. All in a mount namespace of this program's own.
//
// What is frozen here is thawed by a process that does nothing else, whatever ends this one: somebody killed
// at a frozen file system could not end before, and would keep the file system for good.
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/workloads/cases.h"

#define WORLD "/tmp"  // covered by a tmpfs that nobody else sees
#define DISK WORLD "/disk"
#define SILENT WORLD "/silent"
#define CGROUPS WORLD "/cgroups"

static void own_world(void) {
  if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("unshare");
  if (mount("tmpfs", WORLD, "tmpfs", 0, "mode=1777")) die("tmpfs");
  if (mkdir(DISK, 0700) || mkdir(SILENT, 0700) || mkdir(CGROUPS, 0700)) die("mkdir");
}

// --- undone at our end -----------------------------------------------------------------------------

static void (*undo)(void);

static void undo_at_our_end(int told) {
  sigset_t all, end;
  int number;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  const pid_t parent = getppid();
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent) _exit(7);
  close(told);
  sigwait(&end, &number);
  undo();
}

// Returns when it is certain to happen. Called before what is to be undone.
static void at_our_end(void (*what)(void)) {
  undo = what;
  child_running(undo_at_our_end);
}

// --- a frozen file system --------------------------------------------------------------------------

static int disk, on_disk;

static int make_image(void) {
  const int image = open(WORLD "/image", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (image < 0 || ftruncate(image, 8 << 20)) die("image");
  const pid_t pid = fork();
  if (pid == 0) {
    execl("/sbin/mke2fs", "mke2fs", "-q", "-F", "-t", "ext4", WORLD "/image", NULL);
    _exit(127);
  }
  int status = -1;
  if (waitpid(pid, &status, 0) != pid || status != 0) die("mke2fs");
  return image;
}

// A loop device that goes with its last user.
static int attach(int image, char* path, size_t size) {
  const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -1;
  struct loop_config config = {.fd = (uint32_t)image, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
  for (int tries = 0; tries < 100; ++tries) {  // somebody else may be faster
    snprintf(path, size, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
    const int device = open(path, O_RDWR | O_CLOEXEC);
    if (device < 0) return -1;
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0) return device;
    const int error = errno;
    close(device);
    errno = error;
    if (errno != EBUSY) return -1;
  }
  return -1;
}

static void thaw_disk(void) {
  ioctl(disk, FITHAW, 0);
}

static void write_to_disk(int told) {
  close(told);
  if (write(on_disk, "text", 4) < 0) die("write");
}

static void frozen_disk(const char* name) {
  char path[32];
  const int device = attach(make_image(), path, sizeof(path));
  if (device < 0 || mount(path, DISK, "ext4", 0, NULL)) {
    tell_skipped(name, "an ext4 on a loop device");
    return;
  }
  close(device);
  disk = open(DISK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  on_disk = open(DISK "/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (disk < 0 || on_disk < 0) die(DISK);
  at_our_end(thaw_disk);
  if (ioctl(disk, FIFREEZE, 0)) die("FIFREEZE");
  const pid_t child = child_running(write_to_disk);
  const struct wait wait = {.kind = "disk",
                            .call = "write",
                            .object_text = DISK "/file",
                            .detail = "a frozen file system",
                            .fd = on_disk,
                            .state = "D"};
  await_asleep(name, child, child, &wait);
  tell(name, child, child, &wait);
}

// --- a file system whose server is silent ----------------------------------------------------------

static void open_silent(int told) {
  close(told);
  if (open(SILENT "/file", O_RDONLY | O_CLOEXEC) < 0) die("open");
}

// The server would have to answer the first of all requests, and is us.
static void silent_server(const char* name) {
  const int server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  char options[64];
  snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", server);
  if (server < 0 || mount("silent", SILENT, "fuse", 0, options)) {
    tell_skipped(name, "FUSE");
    return;
  }
  const pid_t child = child_running(open_silent);
  const struct wait wait = {.kind = "disk", .call = "openat", .detail = "a FUSE server", .state = "SD"};
  await_asleep(name, child, child, &wait);
  tell(name, child, child, &wait);
}

// --- a frozen cgroup -------------------------------------------------------------------------------

static char group[64];

static void write_group(const char* file, const char* text) {
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", group, file);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) die(path);
  close(fd);
}

static int is_frozen(void) {
  char path[128], text[256];
  snprintf(path, sizeof(path), "%s/cgroup.events", group);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
  if (n < 0) die(path);
  close(fd);
  text[n] = 0;
  return strstr(text, "frozen 1") != NULL;
}

// Whoever is in it is killed by our end.
static void remove_group(void) {
  for (int tries = 0; rmdir(group) && errno == EBUSY && tries < 60000; ++tries) pause_for(500000);
}

static void rest_in_group(int told) {
  close(told);
  rest_for_good();
}

static void wait_in_group(int told) {
  static uint32_t word;
  close(told);
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  came_back(__func__);
}

static void frozen(const char* name, void (*body)(int told), const char* call) {
  char pid[16];
  if (mount("none", CGROUPS, "cgroup2", 0, NULL)) {
    tell_skipped(name, "cgroup2");
    return;
  }
  snprintf(group, sizeof(group), CGROUPS "/loiter-test-%d", getpid());
  at_our_end(remove_group);
  if (mkdir(group, 0700)) die(group);
  const pid_t child = child_running(body);
  const struct wait before = {.call = call};
  await_asleep(name, child, child, &before);
  snprintf(pid, sizeof(pid), "%d", child);
  write_group("cgroup.procs", pid);
  write_group("cgroup.freeze", "1");
  while (!is_frozen()) pause_for(500000);
  const struct wait wait = {.kind = "frozen", .detail = "cgroup freezer"};
  await_asleep(name, child, child, &wait);
  tell(name, child, child, &wait);
}

static void frozen_group(const char* name) {
  frozen(name, rest_in_group, kRests);
}
static void frozen_waiter(const char* name) {
  frozen(name, wait_in_group, "futex");
}

static const struct case_of cases[] = {
    {"frozen disk", frozen_disk},
    {"silent server", silent_server},
    {"frozen cgroup", frozen_group},
    {"frozen waiter", frozen_waiter},
};

int main(int argc, char** argv) {
  own_world();
  return RUN_CASES(cases, argc, argv);
}
