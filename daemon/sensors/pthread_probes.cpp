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
#include "daemon/sensors/uprobe_events.h"
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

const char* to_string(UprobeWay way) {
  switch (way) {
    case UprobeWay::automatic:
      return "auto";
    case UprobeWay::multi:
      return "uprobe.multi";
    case UprobeWay::tracefs:
      return "tracefs";
  }
  return "auto";
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

Result<std::shared_ptr<PthreadProbes>> PthreadProbes::open(const Options& options) {
  std::shared_ptr<PthreadProbes> probes(new PthreadProbes);
  probes->skeleton_.reset(pthreads_bpf::open(nullptr));
  pthreads_bpf* skeleton = probes->skeleton_.get();
  if (!skeleton) return bpf_error("cannot open the uprobe programs", errno);
  bpf_map__set_max_entries(skeleton->maps.events, options.ring_size);
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
  if (Status works = probes->try_out(options.way); !works) return works.error();
  probes->maps_ = map_sizes(skeleton->obj);
  return probes;
}

// All of them, or none at all.
Result<PthreadProbes::Link> PthreadProbes::attach(const bpf_program* multi, const bpf_program* single,
                                                  const Target& target) {
  if (way_ == UprobeWay::multi) {
    auto fd = link_multi(bpf_program__fd(multi), target.path, target.offsets, target.cookies, target.pid);
    if (!fd) return fd.error();
    return Link(std::make_shared<Fd>(std::move(*fd)));
  }
  auto links = std::make_shared<std::vector<std::shared_ptr<void>>>();
  // The first last, which is that of pthread_create: of a thread that was seen to be made all is seen.
  for (size_t i = target.offsets.size(); i-- > 0;) {
    auto link = events_->place({.program = bpf_program__fd(single),
                                .path = target.path,
                                .offset = target.offsets[i],
                                .cookie = target.cookies[i],
                                .pid = target.pid});
    if (!link) return link.error();
    links->push_back(std::move(*link));
  }
  return Link(std::move(links));
}

// A program on a function of this process.
Result<PthreadProbes::Link> PthreadProbes::attach_trial() {
  const std::optional<uint64_t> offset = offset_of_measured_function();
  if (!offset) return Error{Error::Kind::internal, "the function that is measured was not found"};
  const uint64_t cookie = 0;
  return attach(skeleton_->progs.trial_multi, skeleton_->progs.trial_single,
                {"/proc/self/exe", {&*offset, 1}, {&cookie, 1}, static_cast<uint32_t>(getpid())});
}

// On a thread that is not the first: uprobe.multi is there since 6.6, but with a pid it saw only that
// process' first thread until 6.10 (46ba0e49b642, "bpf: fix multi-uprobe PID filtering logic").
Status PthreadProbes::sees_its_own_calls() {
  Status sees = ok();
  std::thread([&] {
    auto link = attach_trial();
    if (!link) {
      sees = link.error();
      return;
    }
    const volatile __u64& hits = skeleton_->bss->trial_hits;
    const uint64_t before = hits;
    measured_function();
    if (hits == before) sees = Error{Error::Kind::unavailable, "it does not see calls of all threads"};
  }).join();
  return sees;
}

Status PthreadProbes::try_tracefs() {
  auto events = UprobeEvents::open();
  if (!events) return events.error();
  events_ = std::move(*events);
  way_ = UprobeWay::tracefs;
  return sees_its_own_calls();
}

Status PthreadProbes::try_out(UprobeWay wanted) {
  std::string why = "no uprobes here";
  if (wanted != UprobeWay::tracefs) {
    const Status works = sees_its_own_calls();
    if (works) return ok();
    why += ": uprobe.multi is right since Linux 6.10 (" + works.error().message + ")";
  }
  if (wanted != UprobeWay::multi) {
    const Status works = try_tracefs();
    if (works) return ok();
    why +=
        std::string(wanted == UprobeWay::tracefs ? ": " : ", and ") + "by tracefs: " + works.error().message;
  }
  return Error{Error::Kind::unavailable, why};
}

Result<PthreadProbes::Link> PthreadProbes::place(const std::string& path, std::span<const ProbePlace> places,
                                                 loiter_libc libc, uint32_t pid) {
  std::vector<uint64_t> offsets, cookies;
  for (const ProbePlace& place : places) {
    offsets.push_back(place.file_offset);
    cookies.push_back(place.call | static_cast<uint64_t>(libc) << kCookieCallBits);
  }
  return attach(skeleton_->progs.call_multi, skeleton_->progs.call_single,
                {path.c_str(), offsets, cookies, pid});
}

void PthreadProbes::drain(std::vector<Event>& events) {
  ring_->drain(events);
}

std::vector<LossCount> PthreadProbes::losses() const {
  std::vector<LossCount> losses = read_losses(bpf_map__fd(skeleton_->maps.losses));
  losses.push_back(ring_->unreadable());
  return losses;
}

uint64_t PthreadProbes::names_left() const {
  return events_ ? events_->left() : 0;
}

Result<UprobeCost> PthreadProbes::measure() {
  constexpr int kCallsWithout = 1000, kCallsWith = 20;
  std::lock_guard lock(trial_);
  const uint64_t without = call_ns(kCallsWithout);
  auto link = attach_trial();
  if (!link) return link.error();
  measured_function();  // the first hit makes the pages
  const uint64_t with = call_ns(kCallsWith);
  return UprobeCost{with - std::min(with, without), way_};
}

}  // namespace loiter
