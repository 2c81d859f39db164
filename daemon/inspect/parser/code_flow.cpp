#include "daemon/inspect/parser/code_flow.h"

#include <algorithm>
#include <utility>

namespace loiter {
namespace {

using Flow = Instruction::Flow;

// Of one walk, with the functions that it asks about; the longest function of musl has some 2500. 20 ms.
constexpr uint64_t kMostInstructions = 50'000;
constexpr uint64_t kMostOfCallee = 2048;  // while a return is looked for in a function that is called
constexpr unsigned kDeepest = 4;          // calls into one another, likewise
constexpr size_t kMostKnownFunctions = 100'000;

}  // namespace

void CodeFlow::begin() {
  exhausted_at_ = std::min(instructions_ + kMostInstructions, most_);
}

std::optional<Instruction> CodeFlow::read(uint64_t address) {
  if (is_exhausted()) return std::nullopt;
  ++instructions_;
  return reader_.read(code_(address), address);
}

// Ways meet where a jump leads: there, what they agree in is what is known.
class CodeFlow::Walk {
 public:
  Walk(CodeFlow& flow, std::optional<uint64_t> goal) : flow_(flow), goal_(goal) {}

  Result run(uint64_t start, const FrameState& state) {
    visit(start, state);
    while (!open_.empty() && result_.agreed) {
      const uint64_t address = open_.back();
      open_.pop_back();
      follow(address, heads_.at(address));
    }
    for (const auto& [address, state_there] : ends_) result_.states.push_back(state_there);
    result_.ends = result_.agreed && stops_ > 0 && !calls_ && !dead_ends_ && ends_.empty();
    return std::move(result_);
  }

 private:
  void visit(uint64_t address, const FrameState& state) {
    const auto [found, added] = heads_.try_emplace(address, state);
    if (!added) {
      const FrameValue before = found->second.get(stack_pointer());
      if (before != state.get(stack_pointer())) result_.agreed = false;
      if (!found->second.meet(state)) return;
    }
    open_.push_back(address);
  }

  unsigned stack_pointer() const { return flow_.architecture_.stack_pointer; }

  void reach(uint64_t address, const FrameState& state) {
    const auto [found, added] = ends_.try_emplace(address, state);
    if (!added) found->second.meet(state);
  }

  void follow(uint64_t address, FrameState state) {
    for (bool first = true;; first = false) {
      if (goal_ == address) return reach(address, state);
      if (!first && heads_.contains(address)) return visit(address, state);
      const auto instruction = flow_.read(address);
      if (!instruction) {
        dead_ends_ = true;
        if (flow_.is_exhausted()) result_.agreed = false;
        return;
      }
      const uint64_t next = address + instruction->size;
      if (!state.apply(*instruction)) result_.agreed = false;
      if (!goes_on(*instruction, address, next, state) || !result_.agreed) return;
      address = next;
    }
  }

  bool goes_on(const Instruction& instruction, uint64_t address, uint64_t next, FrameState& state) {
    switch (instruction.flow) {
      case Flow::next:
        return true;
      case Flow::stop:
        ++stops_;
        return false;
      case Flow::back:
        if (!goal_) reach(address, state);
        return false;
      case Flow::jump:
        if (instruction.target)
          visit(*instruction.target, state);
        else
          dead_ends_ = true;
        return false;
      case Flow::branch:
        if (instruction.target) visit(*instruction.target, state);
        return true;
      case Flow::call:
        calls_ = true;
        // To what follows it, to learn where that is: what it pushes stays.
        if (instruction.target == next) result_.agreed = false;
        if (instruction.target && !flow_.may_return(*instruction.target, 0)) return false;
        state.keep(flow_.architecture_.preserved | uint64_t{1} << stack_pointer());
        return true;
    }
    return false;
  }

  CodeFlow& flow_;
  std::optional<uint64_t> goal_;
  Result result_;
  size_t stops_ = 0;
  bool calls_ = false, dead_ends_ = false;
  std::unordered_map<uint64_t, FrameState> heads_;
  std::unordered_map<uint64_t, FrameState> ends_;
  std::vector<uint64_t> open_;
};

CodeFlow::Result CodeFlow::to_return(uint64_t start, uint64_t known) {
  begin();
  return Walk(*this, std::nullopt).run(start, FrameState(known));
}

CodeFlow::Result CodeFlow::to_place(uint64_t start, uint64_t goal) {
  begin();
  return Walk(*this, goal).run(start, FrameState(~uint64_t{0}));
}

bool CodeFlow::may_return(uint64_t function) {
  begin();
  return may_return(function, 0);
}

bool CodeFlow::may_return(uint64_t function, unsigned depth) {
  if (depth >= kDeepest || may_return_.size() >= kMostKnownFunctions) return true;
  // While it is looked at, one that calls itself is believed to return.
  const auto [found, added] = may_return_.try_emplace(function, Known{true, depth});
  if (!added && (found->second.depth <= depth || !found->second.returns)) return found->second.returns;
  found->second.depth = depth;
  const bool returns = finds_return(function, depth);
  may_return_[function] = {returns, depth};
  return returns;
}

bool CodeFlow::finds_return(uint64_t function, unsigned depth) {
  std::vector<uint64_t> open{function};
  std::unordered_map<uint64_t, bool> seen{{function, true}};
  const auto visit = [&](uint64_t address) {
    if (seen.try_emplace(address, true).second) open.push_back(address);
  };
  for (uint64_t count = 0; !open.empty();) {
    uint64_t address = open.back();
    open.pop_back();
    for (bool goes = true; goes;) {
      if (++count > kMostOfCallee) return true;
      const auto instruction = read(address);
      if (!instruction) return true;
      const auto target = instruction->target;
      const bool leaves = instruction->flow == Flow::jump || instruction->flow == Flow::branch;
      if (instruction->flow == Flow::back || (leaves && !target)) return true;
      if (leaves) visit(*target);
      goes = instruction->flow != Flow::jump && instruction->flow != Flow::stop;
      if (instruction->flow == Flow::call && target) goes = may_return(*target, depth + 1);
      address += instruction->size;
      if (goes && seen.contains(address)) break;
    }
  }
  return false;
}

}  // namespace loiter
