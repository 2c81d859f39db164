#include "daemon/inspect/probe_finder.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace loiter {
namespace {

// What tells a C library from one that wraps it, as sanitizers and garbage collectors do: nptl's descriptors
// for debuggers (nptl_db), and musl's start of a program together with its threads' functions.
constexpr std::string_view kGlibcMark = "_thread_db_sizeof_pthread";
constexpr std::string_view kMuslMark = "__libc_start_main";
constexpr size_t kMarks = 2;

std::vector<std::string> wanted_names() {
  std::vector<std::string> names{std::string(kGlibcMark), std::string(kMuslMark)};
#define LOITER_ADD_NAME(name, function) names.emplace_back(function);
  LOITER_PTHREAD_CALLS(LOITER_ADD_NAME)
#undef LOITER_ADD_NAME
  return names;
}

bool is_vital(loiter_pthread_call call) {
  return call == LOITER_PTHREAD_CREATE || call == LOITER_PTHREAD_JOIN || call == LOITER_PTHREAD_DETACH ||
         call == LOITER_PTHREAD_EXIT;
}

bool is_same_file(const Mapping& a, const Mapping& b) {
  return a.inode == b.inode && a.device_major == b.device_major && a.device_minor == b.device_minor;
}

std::vector<Mapping> first_code_of_files(const std::vector<Mapping>& mappings, bool named_like_one) {
  std::vector<Mapping> files;
  for (const Mapping& mapping : mappings) {
    if (!mapping.executable || mapping.inode == 0 || (named_like_one && !is_named_like_libc(mapping.path)))
      continue;
    const bool known =
        std::ranges::any_of(files, [&](const Mapping& file) { return is_same_file(file, mapping); });
    if (!known) files.push_back(mapping);
  }
  return files;
}

// Where a place of a file is mapped as code; 0: nowhere.
uint64_t address_of(const Mapping& file, uint64_t offset, const std::vector<Mapping>& mappings) {
  for (const Mapping& mapping : mappings) {
    if (is_same_file(file, mapping) && mapping.executable && offset >= mapping.offset &&
        offset - mapping.offset < mapping.end - mapping.start)
      return mapping.start + (offset - mapping.offset);
  }
  return 0;
}

}  // namespace

ThreadLibraries ProbeFinder::find(uint32_t tid, const std::vector<Mapping>& mappings) {
  ThreadLibraries found;
  // All files only where none is named like one: each that is looked at is mapped by the parser.
  for (bool named_like_one : {true, false}) {
    const std::vector<Mapping> files = first_code_of_files(mappings, named_like_one);
    const std::vector<CodeMapping> modules = modules_.resolve(tid, files);
    for (size_t i = 0; i < files.size(); ++i)
      if (modules[i].module) add(tid, files[i], modules[i].module, mappings, found);
    if (!found.libraries.empty()) return found;
  }
  if (mappings.empty())
    found.failure = "it has no memory of its own";
  else
    found.failure =
        "no thread library with symbols is mapped: a stripped static program, one of 32 bits, or threads "
        "made "
        "without a C library, as Go does";
  return found;
}

void ProbeFinder::add(uint32_t tid, const Mapping& mapping, ModuleKey module,
                      const std::vector<Mapping>& mappings, ThreadLibraries& found) {
  static const std::vector<std::string> kNames = wanted_names();
  auto symbols = parser_.find_symbols(module, kNames);
  if (!symbols || symbols->size() != kNames.size()) return;
  const bool glibc = (*symbols)[0].found;
  if (!(*symbols)[kMarks + LOITER_PTHREAD_CREATE].found || (!glibc && !(*symbols)[1].found)) return;
  auto file = modules_.open_mapped(tid, mapping);
  ThreadLibrary& library = found.libraries.emplace_back();
  library.id = {0, mapping.device_major, mapping.device_minor, mapping.inode};
  library.mapped_at = mapping.start;
  library.path = mapping.path;
  library.libc = glibc ? LOITER_LIBC_GLIBC : LOITER_LIBC_MUSL;
  if (file) {
    library.file = std::make_shared<const Fd>(std::move(*file));
    add_places(tid, std::span(*symbols).subspan(kMarks), mapping, mappings, library);
  } else {
    library.missing.push_back({"", file.error().message});
  }
}

void ProbeFinder::add_places(uint32_t tid, std::span<const FoundSymbol> symbols, const Mapping& file,
                             const std::vector<Mapping>& mappings, ThreadLibrary& library) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    const auto call = static_cast<loiter_pthread_call>(i);
    const FoundSymbol& symbol = symbols[i];
    if (!symbol.found) continue;  // a static program has only what it calls
    const bool is_function = symbol.is_code && !symbol.is_ifunc && symbol.has_offset;
    const uint64_t address = is_function ? address_of(file, symbol.file_offset, mappings) : 0;
    std::string reason;
    if (address == 0)
      reason = "its symbol names no code that is mapped";
    else if (!has_code_at(tid, address))
      reason = "its code could not be read";
    if (reason.empty()) {
      const bool taken = std::ranges::any_of(
          library.places, [&](const ProbePlace& place) { return place.file_offset == symbol.file_offset; });
      if (!taken) library.places.push_back({call, symbol.file_offset});
    } else if (is_vital(call)) {
      library.missing.push_back({function_of(call), reason});
    }
  }
}

// Also has the page read in: by the opener, which may hang in it, where the kernel that writes a breakpoint
// into it must not.
bool ProbeFinder::has_code_at(uint32_t tid, uint64_t address) {
  constexpr uint64_t kPlace = SharedMemory::kSize - SharedMemory::kReserved;
  constexpr uint32_t kBytes = 16;  // no instruction is longer
  std::vector<MemoryPiece> pieces{{address, kBytes, 0, kPlace}};
  return opener_.read_memory(tid, pieces) && pieces[0].got > 0;
}

}  // namespace loiter
