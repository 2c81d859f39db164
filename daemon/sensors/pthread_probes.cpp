#include "daemon/sensors/pthread_probes.h"

#include <bpf/libbpf.h>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "daemon/base/clock.h"
#include "daemon/base/fd.h"
#include "pthreads.skel.h"

namespace loiter {
namespace {

constexpr unsigned kCookieCallBits = 8;  // COOKIE_CALL_BITS of bpf/pthreads.bpf.c

// What is measured: a call that is made, and does nothing.
__attribute__((noinline)) void measured_function() {
  asm volatile("");
}

// Where that lies in the file that this process runs.
std::optional<uint64_t> offset_of_measured_function() {
  struct Found {
    uint64_t address;
    std::optional<uint64_t> offset;
  } found{reinterpret_cast<uint64_t>(&measured_function), std::nullopt};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto* wanted = static_cast<Found*>(data);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          const uint64_t start = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type == PT_LOAD && wanted->address >= start &&
              wanted->address - start < segment.p_filesz)
            wanted->offset = wanted->address - start + segment.p_offset;
        }
        return 1;  // the first object is the program itself
      },
      &found);
  return found.offset;
}

// BPF_TRACE_UPROBE_MULTI, and the part of union bpf_attr that makes a link of it (include/uapi/linux/bpf.h
// since 6.6): Debian 12's headers are older.
constexpr uint32_t kTraceUprobeMulti = 48;
struct UprobeMultiAttr {
  uint32_t prog_fd, target_fd, attach_type, flags;
  uint64_t path, offsets, ref_ctr_offsets, cookies;
  uint32_t count, multi_flags, pid, pad;
};

std::string refusal(int number) {
  return std::string("the kernel refused it: ") + std::strerror(number);
}

Result<Fd> link_multi(int program, const char* path, std::span<const uint64_t> offsets,
                      std::span<const uint64_t> cookies, uint32_t pid) {
  UprobeMultiAttr attr{};
  attr.prog_fd = static_cast<uint32_t>(program);
  attr.attach_type = kTraceUprobeMulti;
  attr.path = reinterpret_cast<uint64_t>(path);
  attr.offsets = reinterpret_cast<uint64_t>(offsets.data());
  attr.cookies = reinterpret_cast<uint64_t>(cookies.data());
  attr.count = static_cast<uint32_t>(offsets.size());
  attr.pid = pid;
  Fd link(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr))));
  if (!link) return Error{Error::Kind::unavailable, refusal(errno)};
  return link;
}

// The median length of a call, in nanoseconds: of a hundred groups of calls, each long enough for the clock.
uint64_t call_ns(int calls) {
  std::array<uint64_t, 101> lengths{};
  for (uint64_t& length : lengths) {
    const uint64_t begin = monotonic_now_ns();
    for (int i = 0; i < calls; ++i) measured_function();
    length = (monotonic_now_ns() - begin) / static_cast<uint64_t>(calls);
  }
  std::nth_element(lengths.begin(), lengths.begin() + lengths.size() / 2, lengths.end());
  return lengths[lengths.size() / 2];
}

}  // namespace

const char* to_string(UprobeMode mode) {
  switch (mode) {
    case UprobeMode::none:
      return "none";
    case UprobeMode::attached:
      return "attached";
    case UprobeMode::all:
      return "all";
  }
  return "none";
}

const char* function_of(loiter_pthread_call call) {
  static constexpr std::array kFunctions = {
#define LOITER_FUNCTION(name, function) function,
      LOITER_PTHREAD_CALLS(LOITER_FUNCTION)
#undef LOITER_FUNCTION
  };
  return kFunctions.at(call);
}

void PthreadProbes::Destroy::operator()(pthreads_bpf* skeleton) const {
  pthreads_bpf::destroy(skeleton);
}

PthreadProbes::~PthreadProbes() = default;

Result<std::shared_ptr<PthreadProbes>> PthreadProbes::open(uint32_t ring_size) {
  std::shared_ptr<PthreadProbes> probes(new PthreadProbes);
  probes->skeleton_.reset(pthreads_bpf::open(nullptr));
  pthreads_bpf* skeleton = probes->skeleton_.get();
  if (!skeleton) return bpf_error("cannot open the uprobe programs", errno);
  bpf_map__set_max_entries(skeleton->maps.events, ring_size);
  // libbpf 1.1 does not know that section's attach type.
  for (bpf_program* program : {skeleton->progs.call_multi, skeleton->progs.trial_multi}) {
    bpf_program__set_type(program, BPF_PROG_TYPE_KPROBE);
    bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(kTraceUprobeMulti));
  }
  if (int error = pthreads_bpf::load(skeleton))
    return bpf_error("the kernel refused the uprobe programs", -error);
  auto ring = EventRing::open(bpf_map__fd(skeleton->maps.events));
  if (!ring) return ring.error();
  probes->ring_ = std::move(*ring);
  if (Status works = probes->try_out(); !works) return works.error();
  probes->maps_ = map_sizes(skeleton->obj);
  return probes;
}

// Several probes by one link, or none at all.
Result<PthreadProbes::Link> PthreadProbes::attach(const bpf_program* program, bool multi,
                                                  const Target& target) {
  if (multi) {
    auto fd = link_multi(bpf_program__fd(program), target.path, target.offsets, target.cookies, target.pid);
    if (!fd) return fd.error();
    return Link(std::make_shared<Fd>(std::move(*fd)));
  }
  struct Destroy {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
  };
  auto links = std::make_shared<std::vector<std::unique_ptr<bpf_link, Destroy>>>();
  for (size_t i = 0; i < target.offsets.size(); ++i) {
    LIBBPF_OPTS(bpf_uprobe_opts, options);
    options.bpf_cookie = target.cookies[i];
    const pid_t pid = target.pid ? static_cast<pid_t>(target.pid) : -1;
    bpf_link* link = bpf_program__attach_uprobe_opts(program, pid, target.path, target.offsets[i], &options);
    if (!link) return Error{Error::Kind::unavailable, refusal(errno)};
    links->emplace_back(link);
  }
  return Link(std::move(links));
}

// A program on a function of this process.
Result<PthreadProbes::Link> PthreadProbes::attach_trial(bool multi) {
  const std::optional<uint64_t> offset = offset_of_measured_function();
  if (!offset) return Error{Error::Kind::internal, "the function that is measured was not found"};
  const uint64_t cookie = 0;
  return attach(multi ? skeleton_->progs.trial_multi : skeleton_->progs.trial_single, multi,
                {"/proc/self/exe", {&*offset, 1}, {&cookie, 1}, static_cast<uint32_t>(getpid())});
}

// Called on this thread.
bool PthreadProbes::sees_its_own_calls(bool multi) {
  auto link = attach_trial(multi);
  if (!link) return false;
  const volatile __u64& hits = skeleton_->bss->trial_hits;
  const uint64_t before = hits;
  measured_function();
  return hits != before;
}

// uprobe.multi is there since 6.6, but with a pid it saw only that process' first thread until 6.10
// (46ba0e49b642, "bpf: fix multi-uprobe PID filtering logic"): a thread that is not the first tells. Perf
// events want CAP_SYS_ADMIN on some kernels.
Status PthreadProbes::try_out() {
  bool works = false;
  std::thread([&] { works = multi_ = sees_its_own_calls(true); }).join();
  if (!works) std::thread([&] { works = sees_its_own_calls(false); }).join();
  if (works) return ok();
  return Error{
      Error::Kind::unavailable,
      "this kernel gives no uprobes: neither uprobe.multi of Linux 6.6 and newer, nor those of perf events, "
      "which may want CAP_SYS_ADMIN"};
}

Result<PthreadProbes::Link> PthreadProbes::place(const std::string& path, std::span<const ProbePlace> places,
                                                 loiter_libc libc, uint32_t pid) {
  std::vector<uint64_t> offsets, cookies;
  for (const ProbePlace& place : places) {
    offsets.push_back(place.file_offset);
    cookies.push_back(place.call | static_cast<uint64_t>(libc) << kCookieCallBits);
  }
  bpf_program* program = multi_ ? skeleton_->progs.call_multi : skeleton_->progs.call_single;
  return attach(program, multi_, {path.c_str(), offsets, cookies, pid});
}

void PthreadProbes::drain(std::vector<Event>& events) {
  ring_->drain(events);
}

std::vector<LossCount> PthreadProbes::losses() const {
  std::vector<LossCount> losses = read_losses(bpf_map__fd(skeleton_->maps.losses));
  losses.push_back(ring_->unreadable());
  return losses;
}

Result<uint64_t> PthreadProbes::measure_hit_ns() {
  constexpr int kCallsWithout = 1000, kCallsWith = 20;
  std::lock_guard lock(trial_);
  const uint64_t without = call_ns(kCallsWithout);
  auto link = attach_trial(multi_);
  if (!link) return link.error();
  measured_function();  // the first hit makes the pages
  const uint64_t with = call_ns(kCallsWith);
  return with - std::min(with, without);
}

}  // namespace loiter
