#include "daemon/inspect/start_routines.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

namespace loiter {
namespace {

constexpr uint64_t kBatchBytes = SharedMemory::kSize - SharedMemory::kReserved;

// More distinct ones than that make no table worth reading; a program has a handful.
constexpr size_t kMostRoutines = 1000;  // below kMostNames

// src/internal/pthread_impl.h of musl 1.1.24 to 1.2.5: words from the thread pointer. Validated by the first,
// which points at itself, and the tid.
constexpr uint32_t kMuslTid = 48, kMuslStack = 88, kMuslBytes = 96;
// src/thread/pthread_create.c: struct start_args {start_func, start_arg, control, sig_mask} lies at the top
// of the stack, above all frames.
constexpr uint32_t kMuslStartArgs = 32;

// libstdc++: struct std::thread::_State has its virtual table first and then its callable; std::thread hands
// it over as the argument of the routine. So much of it is looked at.
constexpr uint32_t kStateBytes = 72;

uint64_t word_of(std::span<const std::byte> bytes, size_t offset) {
  uint64_t word = 0;
  if (offset + sizeof(word) <= bytes.size()) std::memcpy(&word, bytes.data() + offset, sizeof(word));
  return word;
}

bool is_code(const std::vector<Mapping>& mappings, uint64_t address) {
  const Mapping* mapping = find_mapping(mappings, address);
  return mapping && mapping->executable;
}

std::string symbol_of(const CodePlace& place) {
  return place.lines.empty() ? std::string() : place.lines.back().symbol;
}

// libstdc++'s own: static, and so without a name where that is stripped.
bool may_be_of_std_thread(const StartRoutine& routine, std::string_view module) {
  if (!routine.symbol.empty()) return routine.symbol.starts_with("execute_native_thread_routine");
  return module.find("libstdc++") != module.npos || module.find(".so") == module.npos;
}

}  // namespace

bool is_thread_state(std::string_view type_name) {
  if (type_name.starts_with('*')) type_name.remove_prefix(1);
  return type_name.starts_with("NSt6thread11_State_implI");
}

bool runs_by_pointer(std::string_view type_name) {
  constexpr std::string_view kTuple = "_InvokerISt5tupleIJ";
  const size_t at = type_name.find(kTuple);
  if (at == type_name.npos) return false;
  const std::string_view first = type_name.substr(at + kTuple.size());
  return first.starts_with("PF") || first.starts_with("M");
}

std::string callable_of(const std::string& demangled) {
  constexpr std::string_view kTuple = "_Invoker<std::tuple<";
  size_t begin = demangled.find(kTuple);
  if (begin == demangled.npos) return demangled;
  begin += kTuple.size();
  int depth = 0;
  for (size_t i = begin; i < demangled.size(); ++i) {
    const char c = demangled[i];
    if (depth == 0 && (c == ',' || c == '>')) {
      size_t end = i;
      while (end > begin && demangled[end - 1] == ' ') --end;
      return demangled.substr(begin, end - begin);
    }
    depth += c == '<' || c == '(' || c == '{' || c == '[';
    depth -= c == '>' || c == ')' || c == '}' || c == ']';
  }
  return demangled;
}

// What is known of the start of one thread, or of one that ended.
struct StartRoutineFinder::Start {
  std::optional<uint32_t>* routine = nullptr;  // where the answer goes
  uint64_t tls_base = 0;
  uint32_t ns_tid = 0;
  uint64_t stack = 0;  // musl: the top of it
  uint64_t address = 0;
  uint64_t argument = 0;  // 0: not known, or it may be anything by now
  uint64_t vtable = 0;    // of a std::thread's state
  std::array<uint64_t, kStateBytes / sizeof(uint64_t)> state{};
  std::string callable;
};

// Threads with one thread pointer between them were made by a bare clone: whose descriptor that is, is not
// told.
std::vector<StartRoutineFinder::Start> StartRoutineFinder::starts_of(Inspection& inspection,
                                                                     const PthreadLayout& layout) {
  std::unordered_map<uint64_t, uint32_t> users;
  for (const InspectedThread& thread : inspection.threads) ++users[thread.record.tls_base];
  std::vector<Start> starts;
  for (InspectedThread& thread : inspection.threads) {
    const loiter_thread& record = thread.record;
    if (thread.routine || record.id.tid == record.id.tgid || record.exit_state != 0) continue;
    if (record.tls_base == 0 || (record.marks & LOITER_MARK_COMPAT) || users[record.tls_base] > 1) continue;
    Start& start = starts.emplace_back();
    start.routine = &thread.routine;
    start.tls_base = record.tls_base;
    start.ns_tid = thread.ns_tid;
  }
  if (layout.libc == PthreadLayout::Libc::musl)
    read_musl(inspection, starts);
  else
    read_glibc(inspection, layout, starts);
  if (inspection.pthreads)
    for (UnjoinedThread& thread : inspection.pthreads->unjoined) {
      Start& start = starts.emplace_back();
      start.routine = &thread.routine;
      start.address = thread.start_routine;
    }
  return starts;
}

// `want(start)` is the address of `size` bytes, 0: none; `take(start, bytes)` gets them where all of them are
// there.
template <typename Want, typename Take>
void StartRoutineFinder::read_each(uint32_t pid, std::vector<Start>& starts, uint32_t size, Want want,
                                   Take take) {
  const size_t batch = kBatchBytes / size;
  std::vector<MemoryPiece> pieces;
  std::vector<Start*> whose;
  const auto read = [&] {
    const bool done = !pieces.empty() && opener_.read_memory(pid, pieces);
    for (size_t i = 0; done && i < pieces.size(); ++i)
      if (pieces[i].got == size)
        take(*whose[i], std::span<const std::byte>(memory_.data() + pieces[i].place, size));
    if (done) memory_.wipe(pieces.size() * size);
    pieces.clear();
    whose.clear();
  };
  for (Start& start : starts) {
    const uint64_t address = want(start);
    if (address == 0) continue;
    pieces.push_back({.address = address, .size = size, .place = pieces.size() * size});
    whose.push_back(&start);
    if (pieces.size() == batch) read();
  }
  read();
}

void StartRoutineFinder::read_glibc(const Inspection& inspection, const PthreadLayout& layout,
                                    std::vector<Start>& starts) {
  read_each(
      inspection.memory_tid, starts, 16,
      [&](const Start& start) { return layout.descriptor_of(start.tls_base) + layout.start_routine; },
      [](Start& start, std::span<const std::byte> bytes) {
        start.address = word_of(bytes, 0);
        start.argument = word_of(bytes, 8);
      });
}

void StartRoutineFinder::read_musl([[maybe_unused]] const Inspection& inspection,
                                   [[maybe_unused]] std::vector<Start>& starts) {
#if defined(__x86_64__)
  read_each(
      inspection.memory_tid, starts, kMuslBytes, [](const Start& start) { return start.tls_base; },
      [](Start& start, std::span<const std::byte> bytes) {
        const bool own = word_of(bytes, 0) == start.tls_base &&
                         static_cast<uint32_t>(word_of(bytes, kMuslTid)) == start.ns_tid;
        if (own) start.stack = word_of(bytes, kMuslStack) & ~uint64_t{7};
      });
  read_each(
      inspection.memory_tid, starts, 16,
      [](const Start& start) { return start.stack ? start.stack - kMuslStartArgs : 0; },
      [](Start& start, std::span<const std::byte> bytes) {
        start.address = word_of(bytes, 0);
        start.argument = word_of(bytes, 8);
      });
#endif
}

std::vector<uint64_t> StartRoutineFinder::read_words(uint32_t pid, const std::vector<uint64_t>& addresses) {
  std::vector<uint64_t> words(addresses.size());
  std::vector<MemoryPiece> pieces;
  for (size_t i = 0; i < addresses.size(); ++i)
    pieces.push_back({.address = addresses[i], .size = addresses[i] ? 8U : 0U, .place = i * 8});
  if (!opener_.read_memory(pid, pieces)) return words;
  for (size_t i = 0; i < pieces.size(); ++i)
    if (pieces[i].got == 8) std::memcpy(&words[i], memory_.data() + pieces[i].place, 8);
  memory_.wipe(pieces.size() * 8);
  return words;
}

std::vector<std::string> StartRoutineFinder::read_texts(uint32_t pid,
                                                        const std::vector<uint64_t>& addresses) {
  constexpr uint32_t kLongest = 2048;
  std::vector<std::string> texts(addresses.size());
  std::vector<MemoryPiece> pieces;
  for (size_t i = 0; i < addresses.size(); ++i)
    pieces.push_back({.address = addresses[i], .size = addresses[i] ? kLongest : 0U, .place = i * kLongest});
  if (!opener_.read_memory(pid, pieces)) return texts;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const char* text = reinterpret_cast<const char*>(memory_.data() + pieces[i].place);
    const size_t length = strnlen(text, pieces[i].got);
    if (length < pieces[i].got) texts[i].assign(text, length);
  }
  memory_.wipe(pieces.size() * kLongest);
  return texts;
}

std::optional<UnwindReply> StartRoutineFinder::name(uint32_t pid, const std::vector<Mapping>& mappings,
                                                    const std::vector<uint64_t>& addresses,
                                                    const std::vector<std::string>& type_names) {
  const UnwindRequest request{.mappings = modules_.resolve(pid, mappings),
                              .jobs = {},
                              .with_lines = false,
                              .addresses = addresses,
                              .type_names = type_names};
  auto reply = parser_.unwind(request, {});
  if (!reply) return std::nullopt;
  return std::move(*reply);
}

// Which types the states of std::threads are of: a few for many threads. `vtbl[-1]` is the type's
// description, whose second word is its name (Itanium C++ ABI, 2.9.4).
void StartRoutineFinder::find_callables(const Inspection& inspection, const std::vector<Mapping>& mappings,
                                        std::vector<Start>& starts) {
  const uint32_t pid = inspection.memory_tid;
  std::vector<uint64_t> vtables, tables_at;
  std::unordered_map<uint64_t, size_t> index;
  for (const Start& start : starts)
    if (start.vtable > 8 && vtables.size() < kMostRoutines &&
        index.emplace(start.vtable, vtables.size()).second) {
      vtables.push_back(start.vtable);
      tables_at.push_back(start.vtable - 8);
    }
  if (vtables.empty()) return;
  std::vector<uint64_t> types = read_words(pid, tables_at);
  for (uint64_t& type : types) type = type ? type + 8 : 0;
  std::vector<std::string> type_names = read_texts(pid, read_words(pid, types));
  for (std::string& type : type_names)
    if (!is_thread_state(type)) type.clear();
  // Functions that are called by their address: the one word of the state that is code.
  std::vector<uint64_t> functions;
  std::unordered_map<uint64_t, size_t> function_index;
  const auto function_of = [&](const Start& start) {
    uint64_t function = 0;
    for (size_t i = 1; i < start.state.size(); ++i) {
      if (!is_code(mappings, start.state[i]) || start.state[i] == function) continue;
      if (function) return uint64_t{0};
      function = start.state[i];
    }
    return function;
  };
  for (Start& start : starts) {
    const auto found = index.find(start.vtable);
    if (found == index.end() || !runs_by_pointer(type_names[found->second])) continue;
    const uint64_t function = function_of(start);
    if (function && functions.size() < kMostRoutines &&
        function_index.emplace(function, functions.size()).second)
      functions.push_back(function);
  }
  const auto reply = name(pid, mappings, functions, type_names);
  if (!reply) return;
  for (Start& start : starts) {
    const auto found = index.find(start.vtable);
    if (found == index.end() || type_names[found->second].empty()) continue;
    start.callable = callable_of(reply->type_names[found->second]);
    if (!runs_by_pointer(type_names[found->second])) continue;
    const auto function = function_index.find(function_of(start));
    if (function == function_index.end()) continue;
    const std::string symbol = symbol_of(reply->places[reply->named[function->second]]);
    if (!symbol.empty()) start.callable = symbol;
  }
}

void StartRoutineFinder::find(Inspection& inspection, const PthreadLayout& layout,
                              const std::vector<Mapping>& mappings, const Inspection* before) {
  constexpr size_t kMostKept = 4 * kMostRoutines;  // also of a process that makes up ever new ones
  if (before && before->routines.size() < kMostKept) {
    inspection.routines = before->routines;
    for (InspectedThread& thread : inspection.threads) {
      const InspectedThread* known = before->find(thread.record.id.tid);
      if (known && known->record.id.start_boot_ns == thread.record.id.start_boot_ns &&
          known->record.id.exec_id == thread.record.id.exec_id)
        thread.routine = known->routine;
    }
  }
  std::vector<Start> starts = starts_of(inspection, layout);
  // What is no code is no routine: the thread was made in a way of its own.
  std::erase_if(starts, [&](const Start& start) { return !is_code(mappings, start.address); });
  std::vector<uint64_t> addresses;
  std::unordered_map<uint64_t, size_t> index;
  for (const Start& start : starts)
    if (addresses.size() < kMostRoutines && index.emplace(start.address, addresses.size()).second)
      addresses.push_back(start.address);
  if (addresses.empty()) return;
  const auto reply = name(inspection.memory_tid, mappings, addresses, {});
  if (!reply) return;
  std::vector<StartRoutine> routines(addresses.size());
  std::vector<char> of_std_thread(addresses.size());
  for (size_t i = 0; i < addresses.size(); ++i) {
    const CodePlace& place = reply->places[reply->named[i]];
    routines[i] = {.symbol = symbol_of(place),
                   .module = place.module,
                   .offset = place.module ? place.offset : place.pc,
                   .callable = {}};
    of_std_thread[i] = may_be_of_std_thread(routines[i], modules_.name(place.module));
  }
  read_each(
      inspection.memory_tid, starts, kStateBytes,
      [&](const Start& start) {
        const auto found = index.find(start.address);
        return found != index.end() && of_std_thread[found->second] ? start.argument : 0;
      },
      [](Start& start, std::span<const std::byte> bytes) {
        start.vtable = word_of(bytes, 0);
        std::memcpy(start.state.data(), bytes.data(), bytes.size());
      });
  find_callables(inspection, mappings, starts);
  std::map<std::pair<uint64_t, std::string>, uint32_t> known;  // by address and callable
  for (Start& start : starts) {
    const auto found = index.find(start.address);
    if (found == index.end()) continue;
    const auto [entry, added] = known.try_emplace({start.address, start.callable});
    if (added) {
      StartRoutine routine = routines[found->second];
      routine.callable = start.callable;
      auto same = std::find(inspection.routines.begin(), inspection.routines.end(), routine);
      entry->second = static_cast<uint32_t>(same - inspection.routines.begin());
      if (same == inspection.routines.end()) inspection.routines.push_back(std::move(routine));
    }
    *start.routine = entry->second;
  }
}

}  // namespace loiter
