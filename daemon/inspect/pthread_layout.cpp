#include "daemon/inspect/pthread_layout.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

namespace loiter {
namespace {

enum Name : size_t {
  kSizeofPthread,
  kList,
  kTid,
  kCancelhandling,
  kStartRoutine,
  kNextevent,
  kListNext,
  kListPrev,
  kRtldUsed,  // offsets in _rtld_global, since 2.34
  kRtldUser,
  kRtldPointer,  // libc's own pointer to _rtld_global
  kVersion,      // since 2.34
  kOldVersion,
  kStaticUsed,  // heads of a static program, since 2.34
  kStaticUser,
  kStaticCached,
  kOldUsed,  // of libpthread before
  kOldUser,
  kOldCached,
  kAnchor,  // code: tells where the module was loaded
  kOtherAnchor,
  kMuslMark,  // of a static program with musl
  kNames,
};

const std::vector<std::string>& names() {
  static const std::vector<std::string> kAll = [] {
    std::vector<std::string> all(kNames);
    all[kSizeofPthread] = "_thread_db_sizeof_pthread";
    all[kList] = "_thread_db_pthread_list";
    all[kTid] = "_thread_db_pthread_tid";
    all[kCancelhandling] = "_thread_db_pthread_cancelhandling";
    all[kStartRoutine] = "_thread_db_pthread_start_routine";
    all[kNextevent] = "_thread_db_pthread_nextevent";
    all[kListNext] = "_thread_db_list_t_next";
    all[kListPrev] = "_thread_db_list_t_prev";
    all[kRtldUsed] = "_thread_db_rtld_global__dl_stack_used";
    all[kRtldUser] = "_thread_db_rtld_global__dl_stack_user";
    all[kRtldPointer] = "__nptl_rtld_global";
    all[kVersion] = "__nptl_version";
    all[kOldVersion] = "nptl_version";
    all[kStaticUsed] = "_dl_stack_used";
    all[kStaticUser] = "_dl_stack_user";
    all[kStaticCached] = "_dl_stack_cache";
    all[kOldUsed] = "stack_used";
    all[kOldUser] = "__stack_user";
    all[kOldCached] = "stack_cache";
    all[kAnchor] = "__nptl_create_event";
    all[kOtherAnchor] = "pthread_create";
    all[kMuslMark] = "__pthread_tsd_run_dtors";
    return all;
  }();
  return kAll;
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

bool is_musl(std::string_view path) {
  return base_name(path).find("musl") != std::string_view::npos;
}

bool is_system(std::string_view path) {
  return base_name(path).starts_with("lib") || path.starts_with('[');
}

// Modules worth asking, the likeliest first: the libcs by their names, then the program itself and whatever
// else is no library by its name.
std::vector<ModuleKey> candidates(const std::vector<CodeMapping>& code, const Modules& modules) {
  constexpr size_t kMost = 8;
  std::vector<ModuleKey> keys;
  const auto add = [&](auto wanted) {
    for (const CodeMapping& mapping : code)
      if (mapping.module && keys.size() < kMost && wanted(modules.name(mapping.module)) &&
          std::find(keys.begin(), keys.end(), mapping.module) == keys.end())
        keys.push_back(mapping.module);
  };
  add([](const std::string& path) { return is_named_like_libc(path); });
  add([](const std::string& path) { return !is_system(path); });
  return keys;
}

// What is to be added to the addresses of a module's own tables; by way of its code, which is mapped once.
std::optional<uint64_t> bias_of(ModuleKey key, const std::vector<CodeMapping>& code,
                                const FoundSymbol& anchor) {
  if (!anchor.found || !anchor.has_offset || !anchor.is_code) return std::nullopt;
  for (const CodeMapping& mapping : code)
    if (mapping.module == key && anchor.file_offset >= mapping.file_offset &&
        anchor.file_offset - mapping.file_offset < mapping.end - mapping.start)
      return mapping.start + (anchor.file_offset - mapping.file_offset) - anchor.address;
  return std::nullopt;
}

constexpr uint32_t kLargestDescriptor = 64 * 1024;

// A field of that many bits, whole within the descriptor and where a compiler would put it.
bool is_field(const FieldDescription& field, uint32_t bits, uint32_t size) {
  const uint32_t bytes = bits / 8, alignment = std::min(bytes, 8U);
  return field.bits == bits && field.count == 1 && field.offset % alignment == 0 && field.offset < size &&
         bytes <= size - field.offset;
}

// "2.36" as 236; nothing where it is none.
std::optional<unsigned> number_of(std::string_view version) {
  unsigned major = 0, minor = 0;
  const char* end = version.data() + version.size();
  const auto [dot, error] = std::from_chars(version.data(), end, major);
  if (error != std::errc() || dot == end || *dot != '.') return std::nullopt;
  const auto [stop, other] = std::from_chars(dot + 1, end, minor);
  if (other != std::errc() || major > 9 || minor > 99) return std::nullopt;
  return major * 100 + minor;
}

// Since when joinid has stood where interpret() says (nptl/descr.h: before, the flags of the attributes came
// between it and the result).
constexpr unsigned kOldestLists = 234;

PthreadLayout musl_layout() {
  PthreadLayout layout;
  layout.libc = PthreadLayout::Libc::musl;
  layout.no_lists = "musl keeps no list of threads that ended";
  return layout;
}

}  // namespace

Result<PthreadLayout> interpret(const GlibcDescription& description) {
  const auto nonsense = [](const char* what) {
    return Error{Error::Kind::unavailable, std::string("glibc describes ") + what + " in a way unknown here"};
  };
  const uint32_t size = description.size;
  if (size < 512 || size > kLargestDescriptor || size % 8) return nonsense("its threads");
  if (!is_field(description.tid, 32, size)) return nonsense("thread ids");
  if (!is_field(description.start_routine, 64, size - 8)) return nonsense("start routines");
  PthreadLayout layout;
  layout.size = size;
  layout.tid = description.tid.offset;
  layout.start_routine = description.start_routine.offset;
  layout.version = description.version;
  const std::optional<unsigned> version = number_of(description.version);
  layout.no_lists.clear();
  if (!version || *version < kOldestLists)
    layout.no_lists = "the lists of glibc before 2.34 are not read";
  else if (!is_field(description.list, 128, size) || !is_field(description.cancelhandling, 32, size) ||
           !is_field(description.nextevent, 64, size) || !is_field(description.list_next, 64, 16) ||
           !is_field(description.list_prev, 64, 16) || description.list_next.offset != 0 ||
           description.list_prev.offset != 8)
    layout.no_lists = nonsense("its lists of threads").message;
  if (!layout.no_lists.empty()) return layout;
  layout.list = description.list.offset;
  layout.cancelhandling = description.cancelhandling.offset;
  // What no description tells, from those of its neighbours. nptl/descr.h since 2.34, and DWARF of 2.36:
  //   struct pthread* joinid; void* result; struct sched_param (4 bytes); int schedpolicy; start_routine
  //   nextevent; struct _Unwind_Exception exc (32 bytes, aligned to 16); void* stackblock; size_t
  //   stackblock_size, guardsize.
  // Each value is checked where it is used: joinid must be none, its own or a listed thread; the stack must
  // hold its descriptor and be mapped.
  layout.joinid = layout.start_routine - 24;
  layout.stackblock = ((description.nextevent.offset + 8 + 15) & ~15U) + 32;
  if (layout.start_routine < 24 || layout.stackblock + 24 > size)
    layout.no_lists = nonsense("its threads").message;
  return layout;
}

const PthreadLayouts::Symbols& PthreadLayouts::symbols_of(ModuleKey key) {
  constexpr size_t kMost = 1024;
  if (symbols_.size() > kMost)
    symbols_.erase(std::min_element(symbols_.begin(), symbols_.end(), [](const auto& a, const auto& b) {
      return a.second.used < b.second.used;
    }));
  const auto [entry, added] = symbols_.try_emplace(key);
  entry->second.used = ++uses_;
  if (!added) return entry->second;
  auto found = parser_.find_symbols(key, names());
  if (!found) {  // the parser died: it may do better next time
    static const Symbols kNone;
    symbols_.erase(entry);
    return kNone;
  }
  const bool any = (*found)[kTid].found || (*found)[kMuslMark].found;
  if (any) entry->second.found = std::move(*found);
  return entry->second;
}

// The words at some addresses, each of `size` bytes, in one read.
Result<std::vector<uint64_t>> PthreadLayouts::read_words(uint32_t pid, const std::vector<uint64_t>& addresses,
                                                         uint32_t size) {
  std::vector<MemoryPiece> pieces;
  for (size_t i = 0; i < addresses.size(); ++i)
    pieces.push_back({.address = addresses[i], .size = size, .place = i * sizeof(uint64_t)});
  if (Status read = opener_.read_memory(pid, pieces); !read) return read.error();
  std::vector<uint64_t> words(addresses.size());
  bool all = true;
  for (size_t i = 0; i < pieces.size(); ++i) {
    all = all && pieces[i].got == size;
    std::memcpy(&words[i], memory_.data() + pieces[i].place, size);
  }
  memory_.wipe(pieces.size() * sizeof(uint64_t));
  if (!all) return Error{Error::Kind::unavailable, "what describes its threads cannot be read"};
  return words;
}

Result<PthreadLayout> PthreadLayouts::read_glibc(uint32_t pid, const Symbols& symbols, uint64_t bias) {
  GlibcDescription description;
  const std::array<std::pair<Name, FieldDescription*>, 7> fields{
      {{kList, &description.list},
       {kTid, &description.tid},
       {kCancelhandling, &description.cancelhandling},
       {kStartRoutine, &description.start_routine},
       {kNextevent, &description.nextevent},
       {kListNext, &description.list_next},
       {kListPrev, &description.list_prev}}};
  std::vector<MemoryPiece> pieces;
  constexpr uint32_t kStride = 16;
  const auto want = [&](const FoundSymbol& symbol, uint32_t size) {
    pieces.push_back({.address = symbol.found ? bias + symbol.address : 0,
                      .size = size,
                      .place = pieces.size() * kStride});
  };
  want(symbols.found[kSizeofPthread], 4);
  want(symbols.found[symbols.found[kVersion].found ? kVersion : kOldVersion], 8);
  for (const auto& [name, field] : fields) want(symbols.found[name], sizeof(FieldDescription));
  if (Status read = opener_.read_memory(pid, pieces); !read) return read.error();
  std::array<char, 9> version{};
  if (pieces[0].got == 4) std::memcpy(&description.size, memory_.data(), 4);
  std::memcpy(version.data(), memory_.data() + pieces[1].place, pieces[1].got);
  description.version = version.data();
  for (size_t i = 0; i < fields.size(); ++i)
    if (pieces[i + 2].got == sizeof(FieldDescription))
      std::memcpy(fields[i].second, memory_.data() + pieces[i + 2].place, sizeof(FieldDescription));
  memory_.wipe(pieces.size() * kStride);
  Result<PthreadLayout> layout = interpret(description);
  if (layout && layout->no_lists.empty()) find_lists(pid, symbols, bias, *layout);
  return layout;
}

void PthreadLayouts::find_lists(uint32_t pid, const Symbols& symbols, uint64_t bias, PthreadLayout& layout) {
  const auto& found = symbols.found;
  if (found[kStaticUsed].found && found[kStaticUser].found && found[kStaticCached].found) {
    layout.used_list = bias + found[kStaticUsed].address;
    layout.user_list = bias + found[kStaticUser].address;
    layout.cached_list = bias + found[kStaticCached].address;
    return;
  }
  layout.no_lists = "glibc does not tell where its lists of threads are";
  if (!found[kRtldUsed].found || !found[kRtldUser].found || !found[kRtldPointer].found) return;
  constexpr uint32_t kOffsetAt = 8;  // in a description
  auto offsets = read_words(
      pid, {bias + found[kRtldUsed].address + kOffsetAt, bias + found[kRtldUser].address + kOffsetAt},
      sizeof(uint32_t));
  auto global = read_words(pid, {bias + found[kRtldPointer].address}, sizeof(uint64_t));
  if (!offsets || !global) return;
  // elf/dl-support.c, sysdeps/generic/ldsodefs.h: the lists stand in a row, used, user, cached.
  constexpr uint64_t kFarthest = 1 << 20, kListBytes = 16;
  const uint64_t used = (*offsets)[0], user = (*offsets)[1];
  if ((*global)[0] == 0 || (*global)[0] % 8 || used % 8 || used > kFarthest || user != used + kListBytes)
    return;
  layout.used_list = (*global)[0] + used;
  layout.user_list = (*global)[0] + user;
  layout.cached_list = layout.user_list + kListBytes;
  layout.no_lists.clear();
}

Result<PthreadLayout> PthreadLayouts::find(uint32_t pid, const std::vector<Mapping>& mappings) {
  const std::vector<CodeMapping> code = modules_.resolve(pid, mappings);
  Error why{Error::Kind::unavailable, "it has no libc that is known"};
  for (const ModuleKey key : candidates(code, modules_)) {
    if (is_musl(modules_.name(key))) return musl_layout();
    const Symbols& symbols = symbols_of(key);
    if (symbols.found.empty()) continue;
    if (!symbols.found[kTid].found) return musl_layout();
    std::optional<uint64_t> bias;
    for (const Name anchor : {kAnchor, kOtherAnchor})
      if (!bias) bias = bias_of(key, code, symbols.found[anchor]);
    if (!bias) continue;
    auto layout = read_glibc(pid, symbols, *bias);
    if (layout) return layout;
    why = layout.error();
  }
  return why;
}

}  // namespace loiter
