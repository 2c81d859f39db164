#include "daemon/inspect/parser/instructions.h"

#include <elf.h>

#include <algorithm>

#include "daemon/inspect/parser/instructions_capstone.h"

namespace loiter {
namespace {

constexpr size_t kLongest = 15;  // bytes of an instruction (Intel SDM, volume 2, 2.3.11)
constexpr size_t kShortestCall = 2;
constexpr size_t kLongestCall = 8;

}  // namespace

void add_change(Instruction& to, const Change& change) {
  if (to.change_count < to.changes.size()) to.changes[to.change_count++] = change;
}

struct InstructionReader::Engine {
  Engine() {
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return;
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    instruction = cs_malloc(handle);
  }
  ~Engine() {
    if (instruction) cs_free(instruction, 1);
    if (handle) cs_close(&handle);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  csh handle = 0;
  cs_insn* instruction = nullptr;
};

InstructionReader::InstructionReader(const Architecture& architecture) : architecture_(architecture) {}

InstructionReader::~InstructionReader() = default;

std::optional<Instruction> InstructionReader::read(std::span<const std::byte> code, uint64_t address) {
  if (architecture_.elf_machine != EM_X86_64) return std::nullopt;
  if (!engine_) engine_ = std::make_unique<Engine>();
  if (!engine_->instruction) return std::nullopt;
  const auto* at = reinterpret_cast<const uint8_t*>(code.data());
  size_t left = std::min(code.size(), kLongest);
  if (!cs_disasm_iter(engine_->handle, &at, &left, &address, engine_->instruction)) return std::nullopt;
  Instruction instruction;
  instruction.size = static_cast<uint8_t>(engine_->instruction->size);
  translate_x86_64(engine_->handle, *engine_->instruction, instruction);
  return instruction;
}

bool InstructionReader::ends_with_call(std::span<const std::byte> before, uint64_t address) {
  for (size_t size = kShortestCall; size <= std::min(kLongestCall, before.size()); ++size) {
    const auto instruction = read(before.last(size), address - size);
    if (instruction && instruction->size == size && instruction->flow == Instruction::Flow::call) return true;
  }
  return false;
}

}  // namespace loiter
