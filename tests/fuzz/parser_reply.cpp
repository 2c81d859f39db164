// Fuzzes what the daemon makes of the parser child's answers: the child may have been taken over by a file.
#include "daemon/inspect/parser/wire.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t jobs = data[0] % 4;
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (auto reply = loiter::decode_reply(message, jobs)) {
    FUZZ_CHECK(reply->stacks.size() == jobs);
    for (const loiter::CodePlace& place : reply->places) FUZZ_CHECK(!place.lines.empty());
    for (const loiter::Stack& stack : reply->stacks) {
      for (uint32_t place : stack.places) FUZZ_CHECK(place < reply->places.size());
      loiter::fuzz::bite(stack.cut == loiter::Cut::no_module);
    }
  }
  if (auto reply = loiter::decode_reply(message, {.jobs = 0, .addresses = jobs, .type_names = jobs})) {
    FUZZ_CHECK(reply->named.size() == jobs && reply->type_names.size() == jobs);
    for (uint32_t place : reply->named) FUZZ_CHECK(place < reply->places.size());
  }
  loiter::decode_facts(message);
  if (auto symbols = loiter::decode_symbols(message, jobs)) FUZZ_CHECK(symbols->size() == jobs);
  return 0;
}
