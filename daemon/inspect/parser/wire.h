// The messages between the daemon and the parser child.
//
// To the child: plain structs, since it may trust its owner and both are this executable. From the child:
// protobuf, taken apart with every bound checked, since a hostile file may have taken the child over.
// Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/result.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

enum class ParserOp : uint32_t {
  add_module = 1,
  add_debug_file,
  add_supplement,
  add_perf_map,
  forget,
  unwind,
  find_symbols
};

struct ParserRequest {
  ParserOp op{};
  uint16_t with_lines = 0;
  uint16_t with_slots = 0;
  ModuleKey key = 0;  // for unwind: the perf map
  uint64_t mappings = 0;
  uint64_t jobs = 0;  // for find_symbols: names
  uint64_t addresses = 0;
  uint64_t type_names = 0;
};

// A StackJob whose memory lies in the shared memory.
struct SharedJob {
  loiter_regs regs;
  uint64_t memory_start = 0;
  uint64_t place = 0;
  uint32_t size = 0;
  uint32_t whole = 0;
  uint64_t other_start = 0;
  uint64_t other_place = 0;
  uint64_t other_size = 0;
};

// Of names in one request, those of types too; and the bytes of one.
constexpr size_t kMostNames = 1024;
constexpr size_t kLongestName = 4096;

std::vector<std::byte> encode_module_request(ParserOp op, ModuleKey key);
// `request`: without its jobs, which are those in shared memory.
std::vector<std::byte> encode_unwind_request(const UnwindRequest& request, std::span<const SharedJob> jobs);

// The child's view of an unwind request; `memory` is the whole shared memory. False: malformed.
bool decode_unwind_request(const std::vector<std::byte>& message, std::span<const std::byte> memory,
                           std::vector<SharedJob>& jobs, UnwindRequest& request);

// `names`: at most kMostNames of at most kLongestName bytes; more are cut off.
std::vector<std::byte> encode_symbols_request(ModuleKey key, std::span<const std::string> names);
// False: malformed.
bool decode_symbols_request(const std::vector<std::byte>& message, std::vector<std::string>& names);

std::string encode_symbols(std::span<const FoundSymbol> symbols);
// `names`: how many symbols there must be.
Result<std::vector<FoundSymbol>> decode_symbols(std::string_view message, size_t names);

std::string encode_facts(const ModuleFacts& facts);
Result<ModuleFacts> decode_facts(std::string_view message);

std::string encode_reply(const UnwindReply& reply);
// How much of each there must be, as was asked for.
struct ReplyShape {
  size_t jobs = 0;
  size_t addresses = 0;
  size_t type_names = 0;
};
Result<UnwindReply> decode_reply(std::string_view message, const ReplyShape& shape);
inline Result<UnwindReply> decode_reply(std::string_view message, size_t jobs) {
  return decode_reply(message, ReplyShape{.jobs = jobs});
}

}  // namespace loiter
