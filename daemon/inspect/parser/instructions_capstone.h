// What instructions.cpp and the translations of each architecture share: the only headers that see Capstone.
//
// Pure functions, any thread.
#pragma once

#include <capstone/capstone.h>

#include "daemon/inspect/parser/instructions.h"

namespace loiter {

void add_change(Instruction& to, const Change& change);

// `from` was decoded with its details.
void translate_x86_64(csh handle, const cs_insn& from, Instruction& to);

}  // namespace loiter
