#include "daemon/inspect/origin_finder.h"

#include <string.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr size_t kMaxMapsBytes = 24 << 20;
constexpr uint64_t kKeepMapsNs = 1'000'000'000;
constexpr uint64_t kMostOfTime = 50;                // reading maps takes no more than a part in so many
constexpr uint64_t kLeaveAloneNs = 60'000'000'000;  // who made the opener hang would do so again
constexpr size_t kMostProcesses = 64;               // whose maps are kept
constexpr size_t kMostStacks = 128;                 // kept of each
constexpr size_t kMostFrames = 128;                 // of a stack: a slice holds few more
constexpr size_t kMostRoutines = 256;               // likewise
// Of the shared memory: what tells the layout of a thread descriptor is read there, while slices lie behind
// it.
constexpr uint64_t kFirstPlace = 64 << 10;
constexpr const char* kCutSlice = "no more of the creator's stack was taken";
constexpr const char* kStdThread = "execute_native_thread_routine";
constexpr const char* kCutFrames = "too many frames";

// As what is in a file that the map does not have yet.
bool is_unresolved(Cut cut) {
  return cut == Cut::no_module || cut == Cut::bad_rules || cut == Cut::no_rules || cut == Cut::no_memory;
}

std::string cut_text(Cut cut) {
  if (cut == Cut::none) return {};
  return cut == Cut::needs_memory ? kCutSlice : to_string(cut);
}

}  // namespace

bool OriginFinder::is_left_alone(uint32_t pid) {
  auto found = hung_until_.find(pid);
  if (found == hung_until_.end()) return false;
  if (found->second > monotonic_now_ns()) return true;
  hung_until_.erase(found);
  return false;
}

bool OriginFinder::read_code(uint32_t pid, Process& process) {
  const uint64_t restarts = opener_.restarts(), begin = monotonic_now_ns();
  process.code.clear();
  process.read_boot_ns = 0;
  process.in_vain = false;
  auto maps = opener_.read_file("/proc/" + std::to_string(pid) + "/maps", kMaxMapsBytes);
  if (opener_.restarts() != restarts) {
    if (hung_until_.size() >= kMostProcesses) hung_until_.clear();
    hung_until_[pid] = monotonic_now_ns() + kLeaveAloneNs;
  }
  if (!maps || maps->empty()) return false;
  process.code = code_of(parse_maps(*maps));
  process.read_boot_ns = boottime_now_ns();
  process.read_cost_ns = monotonic_now_ns() - begin;
  return true;
}

// A stack that leads nowhere, by a map that was read before the birth: what was mapped since is not in it.
// Where that was not it (code of a JIT is in no file at all), the map is not read once more for its sake.
Result<UnwindReply> OriginFinder::unwind(uint32_t pid, std::span<const BirthSlice> births,
                                         std::span<const SharedJob> jobs, std::vector<uint64_t> routines,
                                         Process& process) {
  // No files and lines: for them the parser reads the debug information of each program that makes a thread,
  // which after 20 processes had it at 78 MB, against 11 MB without.
  const StackWish wish{.pid = pid, .with_lines = false, .addresses = std::move(routines)};
  auto reply = stacks_.unwind(wish, process.code, jobs);
  if (!reply) return reply;
  for (size_t i = 0; i < births.size(); ++i) {
    if (!is_unresolved(reply->stacks[i].cut) || births[i].boot_ns < process.read_boot_ns) continue;
    if (process.in_vain) break;
    if (!read_code(pid, process)) return Error{Error::Kind::unavailable, "the process is gone"};
    reply = stacks_.unwind(wish, process.code, jobs);
    process.in_vain = reply && is_unresolved(reply->stacks[i].cut);
    break;
  }
  return reply;
}

// A return address that leads to no code is none: behind runtime.asmcgocall, which changes stacks and whose
// rules do not say so, it is another one for each thread, and each would be a site of its own.
std::span<const uint32_t> OriginFinder::places_of(const UnwindReply& reply, const Stack& stack,
                                                  const Process& process) {
  std::span<const uint32_t> places = stack.places;
  if (stack.cut != Cut::no_module || places.size() < 2) return places;
  const CodePlace& last = reply.places[places.back()];
  const bool is_code = last.module || find_mapping(process.code, last.pc);  // a JIT's is in no file either
  return is_code ? places : places.first(places.size() - 1);
}

SiteStackPtr OriginFinder::stack_of(const UnwindReply& reply, const Stack& stack, Process& process) {
  const std::span<const uint32_t> places = places_of(reply, stack, process);
  Code code;
  code.reserve(2 * places.size() + 1);
  for (uint32_t index : places) {
    const CodePlace& place = reply.places[index];
    code.push_back(place.module);
    code.push_back(place.module ? place.offset : place.pc);
  }
  code.push_back(static_cast<uint64_t>(stack.cut));
  if (process.stacks.size() >= kMostStacks && !process.stacks.contains(code)) process.stacks.clear();
  SiteStackPtr& known = process.stacks[std::move(code)];
  if (known) return known;
  auto made = std::make_shared<SiteStack>();
  made->cut = cut_text(stack.cut);
  for (uint32_t index : places) {
    const CodePlace& place = reply.places[index];
    if (made->frames.size() + place.lines.size() > kMostFrames) {
      made->cut = kCutFrames;
      break;
    }
    for (const CodeLine& line : place.lines)
      made->frames.push_back({line.symbol, modules_.name(place.module),
                              place.module ? place.offset : place.pc, line.file, line.line, line.inlined});
  }
  known = std::move(made);
  return known;
}

// Once a process: where its library keeps the start routine of a thread.
void OriginFinder::find_layout(uint32_t pid, Process& process) {
  if (std::exchange(process.layout_sought, true)) return;
  auto layout = layouts_.find(pid, process.code);
  if (layout && layout->libc == PthreadLayout::Libc::glibc)
    process.routine_offset = static_cast<int64_t>(layout->descriptor_of(0)) + layout->start_routine;
}

// The address that the new thread begins at, as it stood in its descriptor when it was made; 0: not known.
uint64_t OriginFinder::routine_in(const Window& window, const Process& process) {
  uint64_t address = 0;
  if (!process.routine_offset) return 0;
  const int64_t at = *process.routine_offset - window.offset;
  if (at < 0 || at + static_cast<int64_t>(sizeof(address)) > LOITER_TLS_WINDOW) return 0;
  std::memcpy(&address, window.bytes.data() + at, sizeof(address));
  const Mapping* mapping = find_mapping(process.code, address);
  return mapping && mapping->executable ? address : 0;
}

void OriginFinder::name_routines(const UnwindReply& reply, std::span<const uint64_t> addresses,
                                 Process& process) {
  if (process.routines.size() >= kMostRoutines) process.routines.clear();
  for (size_t i = 0; i < std::min(addresses.size(), reply.named.size()); ++i) {
    const CodePlace& place = reply.places[reply.named[i]];
    SiteFrame frame;
    frame.symbol = place.lines.empty() ? std::string() : place.lines.back().symbol;
    frame.module = modules_.name(place.module);
    frame.offset = place.module ? place.offset : place.pc;
    // That of every std::thread: what it calls is told of those that live (start_routines.h).
    if (frame.symbol.starts_with(kStdThread)) continue;
    process.routines[addresses[i]] = std::make_shared<const SiteFrame>(std::move(frame));
  }
}

void OriginFinder::find_in(const Id& id, std::span<const BirthSlice> births, Slices& slices,
                           std::vector<FoundOrigin>& found) {
  std::vector<SharedJob> jobs;
  std::vector<Window> windows;
  uint64_t place = kFirstPlace;
  loiter_slice slice;
  for (const BirthSlice& birth : births) {
    slices.read(birth.slot, slice);
    slices.give_back(birth.slot);
    const uint32_t size = std::min<uint32_t>(slice.size, LOITER_SLICE_BYTES);
    std::memcpy(memory_.data() + place, slice.stack, size);
    SharedJob& job = jobs.emplace_back();
    job.regs = slice.regs;
    job.memory_start = slice.regs.sp;
    job.place = place;
    job.size = size;
    job.whole = slice.ends;
    place += (size + 15) & ~15ULL;
    Window& window = windows.emplace_back();
    window.offset = slice.tls_offset;
    if (slice.tls_size == LOITER_TLS_WINDOW) std::memcpy(window.bytes.data(), slice.tls, LOITER_TLS_WINDOW);
  }
  explicit_bzero(&slice, sizeof(slice));
  Process& process = processes_[id];
  process.used = ++uses_;
  const uint64_t keep_ns = std::max(kKeepMapsNs, process.read_cost_ns * kMostOfTime);
  const bool is_old = process.read_boot_ns == 0 || boottime_now_ns() - process.read_boot_ns > keep_ns;
  SiteGap gap = SiteGap::none;
  Result<UnwindReply> reply = Error{};
  std::vector<uint64_t> routines(births.size());
  if (is_left_alone(id.first)) {
    gap = SiteGap::not_unwound;
  } else if (is_old && !read_code(id.first, process)) {
    gap = is_left_alone(id.first) ? SiteGap::not_unwound : SiteGap::process_gone;
  } else {
    find_layout(id.first, process);
    std::vector<uint64_t> unnamed;
    for (size_t i = 0; i < births.size(); ++i) {
      routines[i] = routine_in(windows[i], process);
      if (routines[i] && !process.routines.contains(routines[i]) &&
          std::find(unnamed.begin(), unnamed.end(), routines[i]) == unnamed.end())
        unnamed.push_back(routines[i]);
    }
    reply = unwind(id.first, births, jobs, unnamed, process);
    if (reply)
      name_routines(*reply, unnamed, process);
    else
      gap = process.read_boot_ns ? SiteGap::not_unwound : SiteGap::process_gone;
  }
  memory_.wipe(place);
  explicit_bzero(windows.data(), windows.size() * sizeof(Window));
  for (size_t i = 0; i < births.size(); ++i) {
    FoundOrigin& origin = found.emplace_back();
    origin.task = births[i].task;
    origin.gap = gap;
    origin.looked_boot_ns = process.read_boot_ns;
    if (gap != SiteGap::none) continue;
    if (auto known = process.routines.find(routines[i]); known != process.routines.end())
      origin.routine = known->second;
    const Stack& stack = reply->stacks[i];
    if (stack.places.empty())
      origin.gap = SiteGap::not_unwound;
    else
      origin.stack = stack_of(*reply, stack, process);
  }
  for (SharedJob& job : jobs) explicit_bzero(&job.regs, sizeof(job.regs));
}

void OriginFinder::forget_old() {
  while (processes_.size() > kMostProcesses)
    processes_.erase(std::min_element(processes_.begin(), processes_.end(), [](const auto& a, const auto& b) {
      return a.second.used < b.second.used;
    }));
}

std::vector<FoundOrigin> OriginFinder::find(std::span<const BirthSlice> births, Slices& slices) {
  std::map<Id, std::vector<BirthSlice>> by_process;
  for (const BirthSlice& birth : births) by_process[{birth.task.tgid, birth.task.exec_id}].push_back(birth);
  std::vector<FoundOrigin> found;
  found.reserve(births.size());
  for (const auto& [id, of_process] : by_process) {
    find_in(id, of_process, slices, found);
    forget_old();
  }
  return found;
}

}  // namespace loiter
