// Fuzzes what the daemon makes of the parser child's answers: the child may have been taken over by a file.
#include "daemon/inspect/parser/wire.h"

#include "tests/fuzz/fuzz.h"

namespace {

void decode_stacks(std::string_view message, size_t jobs) {
  auto reply = loiter::decode_reply(message, jobs);
  if (!reply) return;
  FUZZ_CHECK(reply->stacks.size() == jobs);
  for (const loiter::CodePlace& place : reply->places) FUZZ_CHECK(!place.lines.empty());
  for (const loiter::Stack& stack : reply->stacks) {
    for (uint32_t place : stack.places) FUZZ_CHECK(place < reply->places.size());
    loiter::fuzz::bite(stack.cut > loiter::Cut::needs_memory);
  }
}

void decode_names(std::string_view message, size_t names) {
  auto reply = loiter::decode_reply(message, {.jobs = 0, .addresses = names, .type_names = names});
  if (!reply) return;
  FUZZ_CHECK(reply->named.size() == names && reply->type_names.size() == names);
  for (uint32_t place : reply->named) FUZZ_CHECK(place < reply->places.size());
}

}  // namespace

// The first byte says what the answer is to, and how many were asked for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t count = data[0] % 4;
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] / 4) {
    case 1:
      decode_names(message, count);
      break;
    case 2:
      loiter::decode_facts(message);
      break;
    case 3:
      if (auto symbols = loiter::decode_symbols(message, count)) FUZZ_CHECK(symbols->size() == count);
      break;
    default:
      decode_stacks(message, count);
  }
  return 0;
}
