#include "daemon/inspect/parser/stack_walk.h"

#include <algorithm>
#include <map>

#include "daemon/inspect/parser/demangle.h"
#include "daemon/inspect/parser/frame_step.h"

namespace loiter {
namespace {

constexpr size_t kLongestTypeName = 4096;

}  // namespace

StackWalk::StackWalk(ModuleStore& store, const UnwindRequest& request, size_t most_frames)
    : store_(store), request_(request), most_frames_(most_frames) {
  std::map<ModuleKey, CodeImage*> images;
  for (const CodeMapping& mapping : request.mappings) {
    const auto [found, added] = images.try_emplace(mapping.module);
    if (added && mapping.module != 0) found->second = store_.image(mapping.module);
    mappings_.push_back({&mapping, found->second});
  }
  // Ascending by agreement; who breaks it gets no better answer, but no worse order either.
  std::stable_sort(mappings_.begin(), mappings_.end(),
                   [](const Mapping& a, const Mapping& b) { return a.given->start < b.given->start; });
}

const StackWalk::Mapping* StackWalk::mapping_of(uint64_t address) const {
  auto after =
      std::upper_bound(mappings_.begin(), mappings_.end(), address,
                       [](uint64_t value, const Mapping& mapping) { return value < mapping.given->start; });
  if (after == mappings_.begin() || (--after)->given->end <= address) return nullptr;
  return &*after;
}

StackWalk::Spot StackWalk::make_spot(uint64_t pc, bool interrupted, bool with_rule) {
  Spot spot{.pc = pc, .exact = interrupted};
  const uint64_t back = spot.back();
  const Mapping* mapping = mapping_of(pc - back);
  if (!mapping) return spot;
  spot.module = mapping->given->module;
  if (!mapping->image) return spot;
  // By way of the byte that is meant: a return address may be the first behind its segment.
  const uint64_t in_file = pc - back - mapping->given->start + mapping->given->file_offset;
  const std::optional<uint64_t> address = mapping->image->files().module->address_of(in_file);
  if (!address) return spot;
  spot.image = mapping->image;
  spot.address = *address + back;
  if (!with_rule) return spot;
  spot.rule = &spot.image->rule_at(*address);
  if (spot.rule->problem == Cut::no_rules) spot.rule = &spot.image->code_rule_at(spot.address, interrupted);
  spot.exact = interrupted || spot.rule->signal_frame;
  return spot;
}

uint32_t StackWalk::spot_at(uint64_t pc, bool interrupted) {
  const auto [found, added] = spot_index_[interrupted].try_emplace(pc, static_cast<uint32_t>(spots_.size()));
  if (added) spots_.push_back(make_spot(pc, interrupted));
  return found->second;
}

uint32_t StackWalk::named_spot(uint64_t address) {
  const auto [found, added] = spot_index_[2].try_emplace(address, static_cast<uint32_t>(spots_.size()));
  if (added) spots_.push_back(make_spot(address, true, false));
  return found->second;
}

// glibc has no rules behind the system call of clone and clone3, musl none for its own: there the return
// address still lies where the call left it. Believed where the instruction before it calls this very
// function.
bool StackWalk::leave_leaf(const Spot& spot, const StackMemory& memory, Registers& registers) {
  const Architecture& architecture = store_.architecture();
  Registers caller = registers;
  if (step_out_of_leaf(architecture, memory, caller).cut != Cut::none) return false;
  const Spot back = spots_[spot_at(caller.get(architecture.program_counter), false)];
  if (back.image != spot.image) return false;
  if (!spot.image->calls_function_of(back.address, spot.address, *back.image->files().module)) return false;
  registers = caller;
  return true;
}

// What a rule that was told from code leads to: behind a call, or where a signal handler returns to.
bool StackWalk::is_return_address(uint64_t pc) {
  const Spot spot = spots_[spot_at(pc, false)];
  return spot.image && (spot.rule->signal_frame || spot.image->follows_call(spot.address));
}

namespace {

// Stack::slots, as long as they are fixed.
class Slots {
 public:
  Slots(bool wanted, const Architecture& architecture) : architecture_(architecture), open_(wanted) {}

  void pass(const UnwindRule& rule, Stack& stack) {
    if (!open_) return;
    const std::optional<FixedFrame> frame = fixed_frame(rule, architecture_);
    pass(frame.value_or(FixedFrame{}), frame.has_value(), stack);
  }

  void pass_leaf(Stack& stack) {
    if (open_) pass({0, sizeof(uint64_t)}, architecture_.call_pushes, stack);
  }

 private:
  void pass(const FixedFrame& frame, bool fixed, Stack& stack) {
    open_ = fixed && up_ < UINT32_MAX / 2;
    if (!open_) return;
    stack.slots.push_back(up_ + frame.return_slot);
    up_ += frame.size;
  }

  const Architecture& architecture_;
  bool open_;
  uint32_t up_ = 0;  // from the stack pointer of the thread to that of the frame
};

}  // namespace

Stack StackWalk::walk(const StackJob& job) {
  const Architecture& architecture = store_.architecture();
  const StackMemory memory{job.memory_start, job.memory, job.whole, job.other_start, job.other};
  Registers registers = architecture.load(*job.regs);
  Stack stack;
  Slots slots(request_.with_slots, architecture);
  bool interrupted = true;
  while (const uint64_t pc = registers.get(architecture.program_counter)) {
    if (stack.places.size() == most_frames_) {
      stack.cut = Cut::too_deep;
      break;
    }
    const uint32_t index = spot_at(pc, interrupted);
    stack.places.push_back(index);
    const Spot spot = spots_[index];
    if (!spot.image || spot.rule->problem != Cut::none) {
      if (spot.image && interrupted && spot.rule->problem == Cut::no_rules &&
          leave_leaf(spot, memory, registers)) {
        slots.pass_leaf(stack);
        interrupted = false;
        continue;
      }
      stack.cut = spot.image ? spot.rule->problem : Cut::no_module;
      break;
    }
    StepResult result = step(*spot.rule, architecture, memory, interrupted, registers);
    if (result.outermost) break;
    if (spot.rule->from_code && result.cut == Cut::none &&
        !is_return_address(registers.get(architecture.program_counter)))
      result.cut = Cut::no_rules;
    if (result.cut != Cut::none) {
      stack.cut = result.cut;
      stack.wanted_end = result.wanted_end;
      // Behind a signal handler: the interrupted thread may have had another stack.
      if (result.cut == Cut::no_memory && registers.known(architecture.stack_pointer))
        stack.wanted_start = registers.get(architecture.stack_pointer);
      break;
    }
    slots.pass(*spot.rule, stack);
    interrupted = spot.rule->signal_frame;
  }
  // The last may be of a caller that there was not.
  stack.slots.resize(std::min(stack.slots.size(), stack.places.empty() ? 0 : stack.places.size() - 1));
  return stack;
}

CodePlace StackWalk::name(const Spot& spot) {
  CodePlace place{.pc = spot.pc, .module = spot.module, .export_name = {}, .reached_from = {}, .lines = {}};
  if (spot.image) {
    const CodeImage::Names& names = spot.image->names_at(spot.address - spot.back(), request_.with_lines);
    place.offset = spot.address;
    place.export_name = names.export_name;
    place.reached_from = names.reached_from;
    place.lines = names.lines;
    return place;
  }
  CodeLine& line = place.lines.emplace_back();
  const PerfMap* perf_map = request_.perf_map != 0 ? store_.perf_map(request_.perf_map) : nullptr;
  if (!perf_map || spot.module != 0) return place;
  if (const auto name = perf_map->find(spot.pc - spot.back())) line.symbol = *name;
  return place;
}

UnwindReply StackWalk::run() {
  UnwindReply reply;
  reply.stacks.reserve(request_.jobs.size());
  for (const StackJob& job : request_.jobs) reply.stacks.push_back(job.regs ? walk(job) : Stack{});
  for (const uint64_t address : request_.addresses) reply.named.push_back(named_spot(address));
  for (const std::string& name : request_.type_names)
    reply.type_names.push_back(demangle_type(name, kLongestTypeName));
  reply.places.reserve(spots_.size());
  for (const Spot& spot : spots_) {
    reply.places.push_back(name(spot));
    store_.trim();
  }
  return reply;
}

}  // namespace loiter
