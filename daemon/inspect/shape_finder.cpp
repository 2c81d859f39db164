#include "daemon/inspect/shape_finder.h"

#include <algorithm>
#include <span>
#include <string_view>

namespace loiter {
namespace {

// Waits are told apart by the first few functions; below lies the program's own code.
constexpr size_t kFunctions = 10;

// So many are unwound before the others are compared with them, which takes 0.3 ms; then twice as many.
constexpr size_t kLearners = 64;

constexpr uint64_t kBatchBytes = SharedMemory::kSize - SharedMemory::kReserved;

bool has_musl(const std::vector<Mapping>& mappings) {
  return std::any_of(mappings.begin(), mappings.end(), [](const Mapping& mapping) {
    return mapping.executable && mapping.path.find("musl") != mapping.path.npos;
  });
}

// Names of the functions innermost on a stack, views into its places, and how many places they are of.
struct Functions {
  std::vector<std::string_view> names;
  std::vector<size_t> places;  // by name: up to that of its own, inclusive
};

Functions functions_of(const UnwindReply& reply, const Stack& stack) {
  Functions functions;
  auto add = [&](std::string_view name, size_t place) {
    functions.names.push_back(name);
    functions.places.push_back(place + 1);
  };
  for (size_t i = 0; i < stack.places.size() && functions.names.size() < kFunctions; ++i) {
    const CodePlace& place = reply.places[stack.places[i]];
    for (const CodeLine& line : place.lines)
      if (!line.symbol.empty()) add(line.symbol, i);
    if (!place.export_name.empty() &&
        (functions.names.empty() || functions.names.back() != place.export_name))
      add(place.export_name, i);
  }
  return functions;
}

// How many places of the stack the evidence rests on; 0: that cannot be said, since it goes on beyond what
// was read.
size_t places_behind(const FutexEvidence& evidence, const Functions& functions, const Stack& stack) {
  if (evidence.shape || functions.names.size() >= kFunctions) return functions.places[evidence.functions - 1];
  return stack.cut == Cut::none ? stack.places.size() : 0;
}

}  // namespace

struct ShapeFinder::Candidate {
  InspectedThread* thread = nullptr;
  FutexCall call;
};

void ShapeFinder::find_by_stacks(Inspection& inspection, const std::vector<Mapping>& mappings) {
  const bool musl = has_musl(mappings);
  for (InspectedThread& thread : inspection.threads) {
    if (!thread.blocked || thread.shape) continue;
    std::optional<FutexCall> call = wait_call_of(thread.record).futex;
    if (!call) continue;
    Functions functions;
    if (thread.stack) functions = functions_of(inspection.stacks, inspection.stacks.stacks[*thread.stack]);
    thread.shape = shape_of(*call, functions.names, musl);
  }
}

// Takes off those that sleep like one seen before.
void ShapeFinder::recall(const Inspection& inspection, std::vector<Candidate>& candidates,
                         const ShapeMemo& memo) {
  std::vector<MemoryPiece> pieces(candidates.size());
  uint64_t place = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const loiter_regs& regs = candidates[i].thread->record.regs;
    uint32_t size = memo.reach(regs.ip).value_or(0);
    if (place + size > kBatchBytes) break;
    pieces[i] = {regs.sp, size, 0, place};
    place += (size + 15) & ~15U;
  }
  if (place && !opener_.read_memory(inspection.pid, pieces)) return;
  size_t kept = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    std::span<const std::byte> memory(memory_.data() + pieces[i].place, pieces[i].got);
    const FutexEvidence* evidence = memo.find(candidate.thread->record.regs, memory);
    if (evidence)
      candidate.thread->shape = shape_of(candidate.call, *evidence);
    else
      candidates[kept++] = candidate;
  }
  candidates.resize(kept);
  if (place) memory_.wipe(place);
}

// False: nothing was learnt that would tell others.
bool ShapeFinder::learn(Inspection& inspection, const std::vector<Mapping>& mappings,
                        std::span<Candidate> candidates, ShapeMemo& memo) {
  std::vector<const loiter_regs*> regs;
  for (const Candidate& candidate : candidates) regs.push_back(&candidate.thread->record.regs);
  StackWish wish{.pid = inspection.pid, .perf_map = 0, .with_lines = false, .whole = false};
  auto reply = stacks_.take(wish, mappings, regs);
  const bool musl = has_musl(mappings);
  bool learnt = false;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    if (!reply) {
      candidate.thread->cut = reply.error().message;
      candidate.thread->shape = shape_of(candidate.call, std::span<const std::string_view>(), musl);
      continue;
    }
    const Stack& stack = reply->stacks[i];
    const Functions functions = functions_of(*reply, stack);
    const FutexEvidence evidence = futex_evidence(functions.names, musl);
    candidate.thread->shape = shape_of(candidate.call, evidence);
    if (const size_t places = places_behind(evidence, functions, stack))
      learnt |= memo.learn(stack, reply->places, places, evidence);
  }
  return learnt;
}

void ShapeFinder::find(Inspection& inspection, const std::vector<Mapping>& mappings, ShapeMemo& memo) {
  std::vector<Candidate> candidates;
  for (InspectedThread& thread : inspection.threads) {
    if (!thread.blocked || thread.shape || !(thread.record.marks & LOITER_MARK_REGS)) continue;
    std::optional<FutexCall> call = wait_call_of(thread.record).futex;
    if (!call) continue;
    if (thread.record.marks & LOITER_MARK_COMPAT) {
      thread.cut = "stacks of 32-bit programs are not read";
      thread.shape = shape_of(*call, std::span<const std::string_view>());
    } else {
      candidates.push_back({&thread, *call});
    }
  }
  recall(inspection, candidates, memo);
  for (size_t learners = kLearners; !candidates.empty(); learners *= 2) {
    const size_t count = std::min(learners, candidates.size());
    const bool learnt = learn(inspection, mappings, std::span(candidates).last(count), memo);
    candidates.resize(candidates.size() - count);
    if (learnt) recall(inspection, candidates, memo);
  }
}

}  // namespace loiter
