// Intel 64 and AMD64 (Intel SDM, volume 2). Capstone 4 knows of each instruction which registers it writes,
// but not always whether it writes memory: its first operand counts as written, whatever it says.
#include <array>

#include "daemon/inspect/parser/instructions_capstone.h"

namespace loiter {
namespace {

using Kind = Change::Kind;
using Flow = Instruction::Flow;

constexpr uint8_t kRax = 0, kRcx = 2, kRbp = 6, kRsp = 7, kR11 = 11;

constexpr uint64_t bit(uint8_t number) {
  return uint64_t{1} << number;
}

// By DWARF number: the register, and what else its parts are called.
constexpr std::array<std::array<unsigned, 5>, 16> kParts{{
    {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
    {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
    {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
    {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
    {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, 0},
    {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, 0},
    {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL, 0},
    {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL, 0},
    {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B, 0},
    {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B, 0},
    {X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B, 0},
    {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B, 0},
    {X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B, 0},
    {X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B, 0},
    {X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B, 0},
    {X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B, 0},
}};

constexpr std::array<uint8_t, X86_REG_ENDING> whole_registers() {
  std::array<uint8_t, X86_REG_ENDING> table{};
  for (uint8_t& entry : table) entry = Change::kNone;
  for (size_t number = 0; number < kParts.size(); ++number)
    for (const unsigned part : kParts[number])
      if (part != X86_REG_INVALID) table[part] = static_cast<uint8_t>(number);
  return table;
}

// The DWARF number of the register that one is, or is a part of.
uint8_t whole_register(unsigned reg) {
  static constexpr auto kTable = whole_registers();
  return reg < kTable.size() ? kTable[reg] : Change::kNone;
}

uint8_t full_register(const cs_x86_op& operand) {
  if (operand.type != X86_OP_REG) return Change::kNone;
  const uint8_t number = whole_register(operand.reg);
  return number != Change::kNone && kParts[number][0] == operand.reg ? number : Change::kNone;
}

// Of memory whose address is a register and a distance; kNone: another.
uint8_t base_of(const cs_x86_op& operand) {
  if (operand.type != X86_OP_MEM || operand.mem.segment != X86_REG_INVALID ||
      operand.mem.index != X86_REG_INVALID)
    return Change::kNone;
  const uint8_t number = whole_register(operand.mem.base);
  return number != Change::kNone && kParts[number][0] == operand.mem.base ? number : Change::kNone;
}

Change sum(uint8_t reg, uint8_t base, int64_t value) {
  return {.kind = Kind::sum, .reg = reg, .base = base, .value = value};
}

void push(Instruction& to, uint8_t reg, uint16_t size) {
  add_change(to, sum(kRsp, kRsp, -int64_t{size}));
  add_change(to, {.kind = Kind::store, .reg = reg, .base = kRsp, .size = size});
}

void pop(Instruction& to, uint8_t reg) {
  add_change(to, {.kind = Kind::load, .reg = reg, .base = kRsp});
  if (reg != kRsp) add_change(to, sum(kRsp, kRsp, 8));
}

Flow flow_of(csh handle, const cs_insn& from) {
  switch (from.id) {
    case X86_INS_HLT:
    case X86_INS_UD2:
    case X86_INS_UD2B:
    case X86_INS_INT3:
    case X86_INS_INT1:
      return Flow::stop;
    case X86_INS_JMP:
      return Flow::jump;
    case X86_INS_CALL:
      return Flow::call;
    case X86_INS_RET:
      return from.detail->x86.op_count == 0 ? Flow::back : Flow::stop;
    case X86_INS_LOOP:
    case X86_INS_LOOPE:
    case X86_INS_LOOPNE:
    case X86_INS_XBEGIN:
      return Flow::branch;
    default:
      break;
  }
  if (cs_insn_group(handle, &from, CS_GRP_JUMP))
    return cs_insn_group(handle, &from, CS_GRP_BRANCH_RELATIVE) ? Flow::branch : Flow::stop;
  const bool leaves = cs_insn_group(handle, &from, CS_GRP_RET) || cs_insn_group(handle, &from, CS_GRP_IRET) ||
                      cs_insn_group(handle, &from, CS_GRP_CALL);
  return leaves ? Flow::stop : Flow::next;
}

bool follow_mov(const cs_x86_op& to_where, const cs_x86_op& from_where, Instruction& to) {
  const uint8_t to_reg = full_register(to_where), from_reg = full_register(from_where);
  const uint8_t to_base = base_of(to_where), from_base = base_of(from_where);
  constexpr uint8_t kNone = Change::kNone;
  if (to_reg != kNone && from_reg != kNone)
    add_change(to, sum(to_reg, from_reg, 0));
  else if (to_reg != kNone && from_base != kNone)
    add_change(to, {.kind = Kind::load, .reg = to_reg, .base = from_base, .value = from_where.mem.disp});
  else if (to_base != kNone && from_reg != kNone)
    add_change(to, {.kind = Kind::store, .reg = from_reg, .base = to_base, .value = to_where.mem.disp});
  else
    return false;
  return true;
}

// Those whose values are followed. False: another.
bool follow(const cs_insn& from, Instruction& to) {
  const cs_x86& x86 = from.detail->x86;
  const cs_x86_op &first = x86.operands[0], &second = x86.operands[1];
  const uint8_t reg = full_register(first);
  switch (from.id) {
    case X86_INS_PUSH:
      push(to, reg != kRsp ? reg : Change::kNone, first.size == 2 ? 2 : 8);
      return true;
    case X86_INS_PUSHFQ:
      push(to, Change::kNone, 8);
      return true;
    case X86_INS_POP:
      if (reg == Change::kNone) return false;
      pop(to, reg);
      return true;
    case X86_INS_LEAVE:
      add_change(to, sum(kRsp, kRbp, 0));
      pop(to, kRbp);
      return true;
    case X86_INS_ADD:
    case X86_INS_SUB:
      if (reg == Change::kNone || second.type != X86_OP_IMM) return false;
      add_change(to, sum(reg, reg, from.id == X86_INS_ADD ? second.imm : -second.imm));
      return true;
    case X86_INS_LEA:
      if (reg == Change::kNone || base_of(second) == Change::kNone) return false;
      add_change(to, sum(reg, base_of(second), second.mem.disp));
      return true;
    case X86_INS_MOV:
      return follow_mov(first, second, to);
    default:
      return false;
  }
}

void lose(csh handle, const cs_insn& from, Instruction& to) {
  cs_regs read, written;
  uint8_t read_count = 0, written_count = 0;
  if (cs_regs_access(handle, &from, read, &read_count, written, &written_count)) written_count = 0;
  for (uint8_t i = 0; i < written_count; ++i)
    if (const uint8_t number = whole_register(written[i]); number != Change::kNone) to.lost |= bit(number);
  // What Capstone 4 leaves out.
  if (from.id == X86_INS_SYSCALL) to.lost |= bit(kRax) | bit(kRcx) | bit(kR11);
  if (from.id == X86_INS_ENTER) to.lost |= bit(kRsp) | bit(kRbp);
  if (from.id == X86_INS_CMPXCHG) to.lost |= bit(kRax);
  const cs_x86_op& first = from.detail->x86.operands[0];
  if (from.detail->x86.op_count == 0 || base_of(first) == Change::kNone) return;
  if (from.id == X86_INS_CMP || from.id == X86_INS_TEST || from.id == X86_INS_NOP) return;
  add_change(to, {.kind = Kind::store, .base = base_of(first), .size = first.size, .value = first.mem.disp});
}

}  // namespace

void translate_x86_64(csh handle, const cs_insn& from, Instruction& to) {
  to.flow = flow_of(handle, from);
  const bool goes = to.flow == Flow::jump || to.flow == Flow::call || to.flow == Flow::branch;
  if (goes) {
    const cs_x86_op& where = from.detail->x86.operands[0];
    if (where.type == X86_OP_IMM) to.target = static_cast<uint64_t>(where.imm);
  }
  for (uint8_t i = 0; i < from.detail->x86.op_count; ++i)
    if (const cs_x86_op& of = from.detail->x86.operands[i];
        of.type == X86_OP_MEM && of.mem.base == X86_REG_RIP)
      to.refers_to = from.address + from.size + static_cast<uint64_t>(of.mem.disp);
  // What a call pushes is popped when it comes back.
  if (to.flow == Flow::next && !follow(from, to)) lose(handle, from, to);
  if (from.id == X86_INS_LOOP || from.id == X86_INS_LOOPE || from.id == X86_INS_LOOPNE) to.lost |= bit(kRcx);
}

}  // namespace loiter
