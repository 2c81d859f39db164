#include "tests/unit/inspect_program.h"

#include <sys/uio.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

// The stub tells all registers before it sleeps; it leaves the stack alone, so that they are those of its
// caller.
constexpr const char* kSource = R"(
#include <alloca.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define NOINLINE __attribute__((noinline))
#define ALWAYS static inline __attribute__((always_inline))

unsigned long saved[8];
long wait_here(int fd, void* to, unsigned long size);
__asm__(".text\n.globl wait_here\n.type wait_here, @function\nwait_here:\n.cfi_startproc\n"
        "movq saved@GOTPCREL(%rip), %rax\n"
        "movq %rbx, (%rax)\nmovq %rbp, 8(%rax)\nmovq %r12, 16(%rax)\nmovq %r13, 24(%rax)\n"
        "movq %r14, 32(%rax)\nmovq %r15, 40(%rax)\n"
        "xorl %eax, %eax\nsyscall\nret\n.cfi_endproc\n.size wait_here, .-wait_here\n");

volatile long sink;
char byte;

ALWAYS long inlined_inner(int fd) {
  return wait_here(fd, &byte, 1) + 1;  // MARK inner
}
ALWAYS long inlined_outer(int fd) {
  return inlined_inner(fd) * 3;  // MARK outer
}
NOINLINE long with_inlining(int fd) {
  return inlined_outer(fd) + 7;  // MARK holder
}
NOINLINE long with_alloca(int fd, int size) {
  char* room = alloca(size);
  memset(room, 1, size);
  long result = with_inlining(fd);  // MARK alloca
  return result + room[size / 2];
}
NOINLINE long realigned(int fd, int size) {
  char room[256] __attribute__((aligned(128)));
  memset(room, size, sizeof(room));
  sink = (long)room;
  long result = with_alloca(fd, size);  // MARK realigned
  return result + room[size / 2];
}
NOINLINE long recurse(int depth) {
  if (depth == 0) return realigned(0, 100);
  long result = recurse(depth - 1);  // MARK recurse
  sink = result;
  return result + 1;
}
NOINLINE void in_libc(void) {
  sink = read(0, &byte, 1);  // MARK libc
  sink = 1;
}
NOINLINE void spawn(const char* fifo) {
  posix_spawn_file_actions_t actions;
  char* none[] = {0};
  pid_t child;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, fifo, O_RDONLY, 0);
  sink = posix_spawn(&child, "/bin/true", &actions, 0, none, none);  // MARK spawn
}
NOINLINE void on_signal(int number) {
  sink = realigned(0, number);
  sink = 2;
}

int main(int argc, char** argv) {
  printf("%p\n", (void*)saved);
  fflush(stdout);
  if (argc < 2) return 1;
  if (!strcmp(argv[1], "plain")) sink = realigned(0, argc * 40);
  if (!strcmp(argv[1], "deep")) sink = recurse(atoi(argv[2]));
  if (!strcmp(argv[1], "libc")) in_libc();
  if (!strcmp(argv[1], "spawn")) spawn(argv[2]);
  if (!strcmp(argv[1], "signal")) {
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
  }
  return 0;
}
)";

std::string read_line(int fd) {
  std::string line;
  char byte;
  while (read(fd, &byte, 1) == 1 && byte != '\n') line += byte;
  return line;
}

}  // namespace

Directory::Directory() {
  std::string name = std::filesystem::temp_directory_path() / "loiter-inspect-XXXXXX";
  if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
  path_ = name;
}

Directory::~Directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void must_run(const std::vector<std::string>& argv) {
  const RunResult result = run(argv);
  if (result.status.code != 0) throw std::runtime_error(argv[0] + ": " + result.err);
}

bool InspectProgram::available() {
#if defined(__x86_64__)
  return std::filesystem::exists("/usr/bin/gcc") && std::filesystem::exists("/usr/bin/objcopy");
#else
  return false;
#endif
}

InspectProgram::InspectProgram(const Directory& directory, const std::vector<std::string>& flags)
    : path_(directory / "program") {
  const std::string source = directory / source_name();
  std::ofstream(source) << kSource;
  std::vector<std::string> command{"/usr/bin/gcc", "-O2", "-fomit-frame-pointer"};
  command.insert(command.end(), flags.begin(), flags.end());
  command.insert(command.end(), {source, "-o", path_});
  must_run(command);
}

uint32_t InspectProgram::line_of(const std::string& mark) {
  std::istringstream text(kSource);
  uint32_t number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    if (line.ends_with("// MARK " + mark)) return number;
  }
  throw std::runtime_error("no mark " + mark);
}

void InspectProgram::start(const std::vector<std::string>& mode, long syscall) {
  std::vector<std::string> command{path_};
  command.insert(command.end(), mode.begin(), mode.end());
  process_ = std::make_unique<Subprocess>(command);
  tells_ = mode.front() != "libc" && mode.front() != "spawn";
  saved_at_ = std::stoull(read_line(process_->stdout_fd()), nullptr, 16);
  if (!await("it sleeps in its system call", [&] { return blocked_syscall(pid(), pid()) == syscall; }))
    throw std::runtime_error("the program does not sleep");
}

StackCopy InspectProgram::stack(size_t most) const {
  loiter_regs regs = blocked_registers(pid(), pid());
  if (tells_) {
    std::array<uint64_t, 6> saved{};
    const iovec to{saved.data(), sizeof(saved)};
    const iovec from{reinterpret_cast<void*>(saved_at_), sizeof(saved)};
    if (process_vm_readv(pid(), &to, 1, &from, 1, 0) != sizeof(saved))
      throw std::runtime_error("saved registers");
    regs.saved[0] = saved[0];
    regs.fp = saved[1];
    std::copy(saved.begin() + 2, saved.end(), regs.saved + 1);
  }
  return copy_stack(pid(), regs, most);
}

}  // namespace loiter::test
