#include "tests/lib/stack_target.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cinttypes>
#include <cstdio>
#include <map>
#include <sstream>
#include <stdexcept>

#include "tests/lib/proc.h"

namespace loiter::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error("stack target: " + what);
}

struct MapsLine {
  CodeMapping mapping;
  bool executable = false;
  std::string path;
};

MapsLine parse(const std::string& line) {
  MapsLine parsed;
  char rights[5] = {};
  int path = 0;
  if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &parsed.mapping.start,
                  &parsed.mapping.end, rights, &parsed.mapping.file_offset, &path) != 4)
    fail("cannot parse: " + line);
  parsed.executable = rights[2] == 'x';
  parsed.path = line.substr(static_cast<size_t>(path));
  return parsed;
}

std::vector<MapsLine> maps_of(pid_t pid) {
  std::istringstream text(read_file("/proc/" + std::to_string(pid) + "/maps"));
  std::vector<MapsLine> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(parse(line));
  return lines;
}

std::vector<std::byte> read_memory(pid_t pid, uint64_t address, size_t size) {
  std::vector<std::byte> bytes(size);
  const iovec to{bytes.data(), size};
  const iovec from{reinterpret_cast<void*>(address), size};
  const ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);
  if (got < 0) fail("cannot read memory");
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

Fd copy_vdso(pid_t pid) {
  for (const MapsLine& line : maps_of(pid)) {
    if (line.path != "[vdso]") continue;
    const auto bytes = read_memory(pid, line.mapping.start, line.mapping.end - line.mapping.start);
    Fd copy(memfd_create("vdso", MFD_CLOEXEC));
    if (!copy || write(copy.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      fail("cannot copy the vDSO");
    return copy;
  }
  fail("there is no vDSO");
}

}  // namespace

TargetCode code_of(pid_t pid, ModuleKey first_key) {
  TargetCode code;
  std::map<std::string, ModuleKey> keys;
  for (const MapsLine& line : maps_of(pid)) {
    if (!line.executable) continue;
    CodeMapping mapping = line.mapping;
    if (line.path.starts_with('/') || line.path == "[vdso]") {
      const auto [found, added] = keys.try_emplace(line.path, first_key + keys.size());
      if (added) code.files.push_back({found->second, line.path});
      mapping.module = found->second;
    }
    code.mappings.push_back(mapping);
  }
  return code;
}

Fd open_target_file(pid_t pid, const TargetFile& file) {
  if (file.path == "[vdso]") return copy_vdso(pid);
  Fd opened(open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) fail("cannot open " + file.path);
  return opened;
}

StackCopy copy_stack(pid_t pid, const loiter_regs& regs, size_t most) {
  StackCopy copy{.regs = regs, .start = regs.sp, .memory = {}};
  copy.memory = read_memory(pid, regs.sp, most);
  copy.whole = copy.memory.size() < most;
  return copy;
}

loiter_regs blocked_registers(pid_t pid, pid_t tid) {
  std::istringstream text(
      read_file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/syscall"));
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  if (words.size() != 9) fail("the thread is in no system call");
  loiter_regs regs{};
  regs.syscall = std::stol(words[0]);
  for (size_t i = 0; i < LOITER_SYSCALL_ARGS; ++i) regs.args[i] = std::stoull(words[1 + i], nullptr, 16);
  regs.sp = std::stoull(words[7], nullptr, 16);
  regs.ip = std::stoull(words[8], nullptr, 16);
  return regs;
}

}  // namespace loiter::test
