#include "daemon/inspect/parser/code_rules.h"

#include <gelf.h>

#include <algorithm>

#include "daemon/inspect/parser/code_references.h"
#include "daemon/inspect/parser/signal_return.h"

namespace loiter {
namespace {

using Flow = Instruction::Flow;
using Kind = RegisterRule::Kind;
using ValueKind = FrameValue::Kind;

constexpr uint64_t kScannedBytes = 16;         // that take as long as an instruction
constexpr uint64_t kLongestFunction = 16'384;  // bytes; musl's longest has 11,000
constexpr uint64_t kLongestEntry = 64;
constexpr size_t kMostBeginnings = 64;
constexpr uint64_t kLongestCall = 8;

UnwindRule no_rules() {
  UnwindRule rule;
  rule.problem = Cut::no_rules;
  return rule;
}

UnwindRule new_rule(const Architecture& architecture) {
  UnwindRule rule;
  rule.from_code = true;
  rule.return_register = static_cast<uint8_t>(architecture.program_counter);
  return rule;
}

UnwindRule outermost(const Architecture& architecture) {
  UnwindRule rule = new_rule(architecture);
  rule.registers.push_back({.number = rule.return_register, .kind = Kind::undefined});
  return rule;
}

void set_cfa(UnwindRule& rule, unsigned reg, int64_t offset) {
  rule.cfa_register = static_cast<uint8_t>(reg);
  rule.cfa_offset = offset;
}

// Where the return address is: in memory as it was when the walk began, or in a register.
bool set_return(UnwindRule& rule, const FrameValue& target) {
  RegisterRule of{.number = rule.return_register, .kind = Kind::at_cfa};
  if (target.kind == ValueKind::loaded && target.base == rule.cfa_register)
    of.value = target.offset - rule.cfa_offset;
  else if (target.kind == ValueKind::sum && target.offset == 0)
    of = {.number = of.number, .kind = Kind::other, .value = target.base};
  else
    return false;
  rule.registers.push_back(of);
  return true;
}

bool same_rule(const UnwindRule& a, const UnwindRule& b) {
  const auto same = [](const RegisterRule& one, const RegisterRule& other) {
    return one.number == other.number && one.kind == other.kind && one.value == other.value;
  };
  return a.cfa_register == b.cfa_register && a.cfa_offset == b.cfa_offset &&
         std::equal(a.registers.begin(), a.registers.end(), b.registers.begin(), b.registers.end(), same);
}

}  // namespace

std::optional<UnwindRule> rule_at_return(const Architecture& architecture, const FrameState& state) {
  const FrameValue& top = state.get(architecture.stack_pointer);
  if (top.kind != ValueKind::sum) return std::nullopt;
  UnwindRule rule = new_rule(architecture);
  set_cfa(rule, top.base, top.offset + 8);
  if (!set_return(rule, state.load(top))) return std::nullopt;
  for (unsigned number = 0; number < FrameState::kRegisters; ++number) {
    if (!(architecture.preserved >> number & 1)) continue;
    const FrameValue& value = state.get(number);
    if (value == FrameValue{ValueKind::sum, static_cast<uint8_t>(number), 0}) continue;
    RegisterRule of{.number = static_cast<uint8_t>(number), .kind = Kind::undefined};
    if (value.kind == ValueKind::loaded && value.base == top.base)
      of = {.number = of.number, .kind = Kind::at_cfa, .value = value.offset - rule.cfa_offset};
    rule.registers.push_back(of);
  }
  return rule;
}

std::optional<UnwindRule> rule_from_beginning(const Architecture& architecture, const FrameState& state) {
  const auto stack_pointer = static_cast<uint8_t>(architecture.stack_pointer);
  const FrameValue beginning{ValueKind::sum, stack_pointer, 0};
  if (state.load(beginning) != FrameValue{ValueKind::loaded, stack_pointer, 0}) return std::nullopt;
  const auto is_base = [&](unsigned number) {
    const FrameValue& value = state.get(number);
    return value.kind == ValueKind::sum && value.base == stack_pointer && value.offset <= 0;
  };
  unsigned base = stack_pointer;
  for (unsigned number = 0; number < FrameState::kRegisters && !is_base(base); ++number)
    if (architecture.preserved >> number & 1) base = number;
  if (!is_base(base)) return std::nullopt;
  UnwindRule rule = new_rule(architecture);
  set_cfa(rule, base, 8 - state.get(base).offset);
  rule.registers.push_back({.number = rule.return_register, .kind = Kind::at_cfa, .value = -8});
  for (unsigned number = 0; number < FrameState::kRegisters; ++number) {
    const FrameValue at_beginning{ValueKind::sum, static_cast<uint8_t>(number), 0};
    if (!(architecture.preserved >> number & 1) || state.get(number) == at_beginning) continue;
    const auto saved = state.find(at_beginning, state.get(stack_pointer));
    RegisterRule of{.number = static_cast<uint8_t>(number), .kind = Kind::undefined};
    if (saved) of = {.number = of.number, .kind = Kind::at_cfa, .value = *saved - 8};
    rule.registers.push_back(of);
  }
  return rule;
}

CodeRules::CodeRules(const ElfFile& file, const Architecture& architecture, InstructionReader& reader,
                     BeginningOf beginning_of, uint64_t most_work)
    : file_(file),
      architecture_(architecture),
      reader_(reader),
      beginning_of_(std::move(beginning_of)),
      flow_(
          architecture, reader, [&file](uint64_t address) { return file.code_at(address); }, most_work),
      most_work_(most_work) {}

const UnwindRule& CodeRules::find(uint64_t address, bool interrupted) {
  auto& rules = rules_[interrupted];
  const auto found = rules.find(address);
  if (found != rules.end()) return found->second;
  return rules.emplace(address, make(address, interrupted)).first->second;
}

UnwindRule CodeRules::make(uint64_t address, bool interrupted) {
  const uint64_t work = flow_.instructions() + scanned_bytes_ / kScannedBytes;
  if (work >= most_work_ || !architecture_.call_pushes) return no_rules();
  if (auto rule = signal_return_rule(architecture_, file_.code_at(address))) return *rule;
  if (!interrupted && is_entry_of_program(address)) return outermost(architecture_);
  if (interrupted || comes_back(address)) {
    const uint64_t called = architecture_.preserved | uint64_t{1} << architecture_.stack_pointer;
    const CodeFlow::Result result = flow_.to_return(address, interrupted ? ~uint64_t{0} : called);
    if (!result.agreed) return no_rules();
    // Where clone lets a thread begin: on a stack that has nothing above it. abort() ends so too, and was
    // called.
    if (result.ends) return from_beginning(address).value_or(outermost(architecture_));
    std::optional<UnwindRule> common;
    for (const FrameState& state : result.states) {
      auto rule = rule_at_return(architecture_, state);
      if (!rule || (common && !same_rule(*common, *rule))) return no_rules();
      common = std::move(rule);
    }
    if (common) return *common;
  }
  return from_beginning(address).value_or(no_rules());
}

// Where a process begins: nobody called that.
bool CodeRules::is_entry_of_program(uint64_t address) {
  GElf_Ehdr header;
  if (!gelf_getehdr(file_.elf(), &header)) return false;
  if (address <= header.e_entry || address - header.e_entry > kLongestEntry) return false;
  for (uint64_t at = header.e_entry; at < address;) {
    const auto instruction = reader_.read(file_.code_at(at), at);
    if (!instruction) return false;
    at += instruction->size;
    if (at == address) return instruction->flow == Flow::call;
    if (instruction->flow != Flow::next) return false;
  }
  return false;
}

// Whether the call before it does. One of a function without return is the last of its own function, and what
// follows is another one.
bool CodeRules::comes_back(uint64_t address) {
  const size_t size = architecture_.call_size;
  const auto bytes = file_.bytes_at(address - size, size);
  const auto target = architecture_.call_target(bytes, address);
  return !target || flow_.may_return(*target);
}

// What is called, or what a pointer is made to, in descending order: the first that leads there is the
// function.
std::vector<uint64_t> CodeRules::beginnings_before(uint64_t address) {
  const uint64_t first = address > kLongestFunction ? address - kLongestFunction : 0;
  const AddressSet wanted(first, address - first + 1, true);
  std::vector<CodeReference> found;
  for (const ElfFile::Loaded& segment : file_.loaded()) {
    if (!segment.code) continue;
    find_references(architecture_, segment.bytes, segment.address, wanted, found);
    scanned_bytes_ += segment.bytes.size();
  }
  std::sort(found.begin(), found.end(),
            [](const CodeReference& a, const CodeReference& b) { return a.target > b.target; });
  std::vector<uint64_t> beginnings;
  for (const CodeReference& reference : found) {
    if (beginnings.size() == kMostBeginnings) break;
    if (!beginnings.empty() && beginnings.back() == reference.target) continue;
    for (uint64_t back = 1; back < kLongestCall; ++back) {
      const auto instruction = reader_.read(file_.code_at(reference.at - back), reference.at - back);
      if (!instruction || instruction->size != back + 4) continue;
      const bool calls = instruction->flow == Flow::call && instruction->target == reference.target;
      if (!calls && instruction->refers_to != reference.target) continue;
      beginnings.push_back(reference.target);
      break;
    }
  }
  return beginnings;
}

std::optional<UnwindRule> CodeRules::from_beginning(uint64_t address) {
  std::vector<uint64_t> beginnings;
  if (const auto named = beginning_of_(address - 1)) beginnings = {*named};
  if (beginnings.empty()) beginnings = beginnings_before(address);
  for (const uint64_t beginning : beginnings) {
    const CodeFlow::Result result = flow_.to_place(beginning, address);
    if (!result.states.empty())
      return result.agreed ? rule_from_beginning(architecture_, result.states.front()) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace loiter
