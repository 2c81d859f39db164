// An ELF file of any content as a module, as its own debug file and as its supplement, and stacks that lead
// into it: the parser answers each, within its bounds.
//
// libdw itself is not instrumented: of its faults those are seen that crash, or that the allocator notices.
#include "daemon/inspect/parser/stack_parser.h"

#include <sys/mman.h>

#include <memory>

#include "tests/fuzz/fuzz.h"

using namespace loiter;

namespace {

constexpr uint64_t kBase = 0x400000, kStack = 0x7000'0000;
constexpr size_t kWords = 64;

Fd file_of(const uint8_t* data, size_t size) {
  Fd file(memfd_create("fuzz", MFD_CLOEXEC));
  FUZZ_CHECK(write(file.get(), data, size) == static_cast<ssize_t>(size));
  return file;
}

void check(const UnwindReply& reply, const StackParser::Limits& limits) {
  FUZZ_CHECK(reply.stacks.size() == 1 && reply.stacks[0].places.size() <= limits.frames);
  for (const uint32_t index : reply.stacks[0].places) {
    FUZZ_CHECK(index < reply.places.size());
    FUZZ_CHECK(!reply.places[index].lines.empty());
    for (const CodeLine& line : reply.places[index].lines)
      FUZZ_CHECK(line.symbol.size() <= limits.name_bytes && line.file.size() <= limits.name_bytes);
  }
  // One frame too many of a whole stack: none of the seeds has one, and a few changes of them do. (Of a
  // broken one, that took 20,000 runs to find, or 50,000.)
  if constexpr (fuzz::kPlantedBug) {
    const auto frames = std::make_unique<uint32_t[]>(reply.stacks[0].places.size());
    if (reply.stacks[0].cut != Cut::none) return;
    volatile uint32_t behind = frames[reply.stacks[0].places.size()];
    (void)behind;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  StackParser::Limits limits;
  limits.frames = 40;
  limits.name_bytes = 200;
  limits.symbols = 1000;
  limits.code_work = 200;  // code is the matter of another fuzzer
  StackParser parser(limits);
  parser.add_module(1, file_of(data, size));
  parser.add_debug_file(1, file_of(data, size));
  parser.add_supplement(1, file_of(data, size));
  const std::string names[] = {"main", "", "pthread_create"};
  for (const FoundSymbol& symbol : parser.find_symbols(1, names)) {
    FUZZ_CHECK(symbol.found || symbol.address == 0);
    FUZZ_CHECK(!symbol.has_offset || symbol.file_offset < size);
  }
  const uint64_t pages = (size + 4095) & ~uint64_t{4095};
  uint64_t words[kWords];
  for (size_t i = 0; i < kWords; ++i)
    words[i] = i % 3 == 2 ? kStack + 8 * i + 16 : kBase + 0x40 + i * 13 % (size + 1);
  loiter_regs regs{};
  regs.sp = kStack;
  regs.fp = kStack + 64;
  for (uint64_t at = 0x40; at < size && at < 0x40 + 64 * 37; at += 37) {
    regs.ip = kBase + at;
    UnwindRequest request{.mappings = {{kBase, kBase + pages, 0, 1}}, .perf_map = 0, .jobs = {}};
    request.jobs.push_back({&regs, kStack, std::as_bytes(std::span(words)), at % 2 == 0});
    check(parser.unwind(request), limits);
  }
  return 0;
}
