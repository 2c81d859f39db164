// Where a thread was made: its creation site, as it is found (the inspector) and kept (the model).
//
// Plain values, any thread. Names are foreign bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/records.h"

namespace loiter {

// A function on the creator's stack. An inlined one stands before that which it was inlined into.
struct SiteFrame {
  std::string symbol;   // demangled; empty: unknown
  std::string module;   // path; empty: code in no known file
  uint64_t offset = 0;  // in the module, as addr2line takes it; without one the address itself
  std::string file;     // empty: unknown
  uint32_t line = 0;    // 0: unknown
  bool inlined = false;
  bool operator==(const SiteFrame&) const = default;
};

struct SiteStack {
  std::vector<SiteFrame> frames;  // innermost first: where the thread library makes the thread
  std::string cut;                // why it ends early; empty: it is whole
  bool operator==(const SiteStack&) const = default;
};
using SiteStackPtr = std::shared_ptr<const SiteStack>;

// Why the creation site of a thread is not known.
#define LOITER_SITE_GAPS(X)                                                                           \
  X(before_daemon, "it was made before loiterd looked")                                               \
  X(pending, "its stack is still being taken apart")                                                  \
  X(rate_limited, "its process made threads faster than stacks are taken")                            \
  X(no_slot, "more threads were made at once than there is room for stacks")                          \
  X(unreadable, "its creator's stack could not be read")                                              \
  X(no_user_code, "it was made by a worker of the kernel, or in a 32-bit program")                    \
  X(not_supported, "this kernel does not let stacks be taken")                                        \
  X(event_lost, "its birth event was lost")                                                           \
  X(process_gone, "its process ended, or executed another program, before the stack was taken apart") \
  X(not_unwound, "its stack could not be taken apart")                                                \
  X(over_limit, "more threads live than are kept")                                                    \
  X(forgotten, "its site was forgotten to stay within bounds")

enum class SiteGap : uint8_t {
  none,  // it is known
#define LOITER_SITE_GAP_ENUM(name, text) name,
  LOITER_SITE_GAPS(LOITER_SITE_GAP_ENUM)
#undef LOITER_SITE_GAP_ENUM
      count
};
const char* to_string(SiteGap gap);       // the word of the API
const char* explanation_of(SiteGap gap);  // a phrase for people

// A birth whose creator's stack lies in a slot. Whoever holds it has to give that back.
struct BirthSlice {
  loiter_task_id task{};
  uint64_t boot_ns = 0;
  uint32_t slot = 0;
};

struct FoundOrigin {
  loiter_task_id task{};
  SiteStackPtr stack;  // null: `gap` says why
  SiteGap gap = SiteGap::none;
  // The moment as of which the process was looked at: what it executed or became by then is not what made the
  // thread.
  uint64_t looked_boot_ns = 0;
  std::shared_ptr<const SiteFrame> routine = nullptr;  // where the thread began to run; null: not known
};

}  // namespace loiter
