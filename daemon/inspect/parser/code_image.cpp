#include "daemon/inspect/parser/code_image.h"

#include <elfutils/libdw.h>
#include <malloc.h>

#include <algorithm>
#include <map>
#include <utility>

#include "daemon/inspect/parser/code_rules.h"
#include "daemon/inspect/parser/demangle.h"
#include "daemon/inspect/parser/symbols.h"

namespace loiter {
namespace {

constexpr size_t kLongestCall = 8;       // bytes
constexpr uint64_t kLongestLeaf = 4096;  // bytes of code; a wrapper of a system call has some fifty

struct EndDwarf {
  void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
};
using OwnedDwarf = std::unique_ptr<Dwarf, EndDwarf>;

// Tells libdw that it has looked for the supplement and found none: else it opens the path that the file
// names. It has no call for that (dwarf_getalt.c: "Only try once").
Dwarf* const kNoSupplement = reinterpret_cast<Dwarf*>(~uintptr_t{0});  // NOLINT(performance-no-int-to-ptr)

// What libdw takes is known to the allocator alone. Counts what was made between its birth and its end.
class HeapCount {
 public:
  explicit HeapCount(size_t& total) : total_(total), before_(in_use()) {}
  ~HeapCount() {
    const size_t now = in_use();
    if (now > before_) total_ += now - before_;
  }
  HeapCount(const HeapCount&) = delete;
  HeapCount& operator=(const HeapCount&) = delete;

 private:
  static size_t in_use() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  }
  size_t& total_;
  size_t before_;
};

}  // namespace

struct CodeImage::Made {
  std::map<const ElfFile*, OwnedDwarf> dwarfs;
  std::unique_ptr<UnwindRules> rules;
  std::unique_ptr<CodeRules> code_rules;
  std::unordered_map<uint64_t, bool> follows_call;
  std::optional<FunctionTable> functions, exports;
  std::optional<CallerIndex> callers;
  bool looked_for_lines = false;
  std::optional<DebugLines> lines;
  std::unordered_map<uint64_t, Names> names[2];  // by address: functions alone, and with lines
};

CodeImage::CodeImage(Files files, const Architecture& architecture, InstructionReader& reader,
                     const Options& options)
    : files_(std::move(files)), architecture_(architecture), reader_(reader), options_(options) {}

CodeImage::~CodeImage() = default;

CodeImage::Made& CodeImage::made() {
  if (!made_) made_ = std::make_unique<Made>();
  return *made_;
}

void CodeImage::drop() {
  made_.reset();
  memory_bytes_ = 0;
}

// The supplement is set on every one that is opened: each refers to it by itself.
Dwarf* CodeImage::open_dwarf(const ElfFile* file) {
  const auto [found, added] = made().dwarfs.try_emplace(file);
  if (!added) return found->second.get();
  Dwarf* dwarf = dwarf_begin_elf(file->elf(), DWARF_C_READ, nullptr);
  found->second.reset(dwarf);
  if (dwarf && file != files_.supplement.get())
    dwarf_setalt(dwarf, files_.supplement ? open_dwarf(files_.supplement.get()) : kNoSupplement);
  return dwarf;
}

const UnwindRule& CodeImage::rule_at(uint64_t address) {
  Made& all = made();
  if (!all.rules) {
    const auto frames = [this]() -> Dwarf* {
      for (const ElfFile* file : {files_.module.get(), files_.debug.get()})
        if (file && file->has_debug_frame()) return open_dwarf(file);
      return nullptr;
    };
    all.rules = std::make_unique<UnwindRules>(files_.module->elf(), architecture_, frames);
  }
  if (const UnwindRule* known = all.rules->known(address)) return *known;
  const HeapCount count(memory_bytes_);
  return all.rules->find(address);
}

const UnwindRule& CodeImage::code_rule_at(uint64_t address, bool interrupted) {
  std::unique_ptr<CodeRules>& rules = made().code_rules;
  const HeapCount count(memory_bytes_);
  if (!rules)
    rules = std::make_unique<CodeRules>(
        *files_.module, architecture_, reader_, [this](uint64_t at) { return functions().start_of(at); },
        options_.code_work);
  return rules->find(address, interrupted);
}

bool CodeImage::follows_call(uint64_t address) {
  const auto [found, added] = made().follows_call.try_emplace(address, false);
  if (added && address > kLongestCall)
    found->second =
        reader_.ends_with_call(files_.module->bytes_at(address - kLongestCall, kLongestCall), address);
  return found->second;
}

const FunctionTable& CodeImage::functions() {
  std::optional<FunctionTable>& table = made().functions;
  if (table) return *table;
  table.emplace(options_.functions);
  bool complete = false;
  for (const ElfFile* file : {files_.module.get(), files_.debug.get()})
    if (file && add_symbols(*file, *files_.module, options_.fd_prefix, *table))
      complete = complete || file->facts().has_symbols;
  table->finish(complete);
  return *table;
}

const FunctionTable& CodeImage::exports() {
  std::optional<FunctionTable>& table = made().exports;
  if (table) return *table;
  table.emplace(options_.functions);
  add_exports(*files_.module, *table);
  table->finish(false);
  return *table;
}

const CallerIndex& CodeImage::callers() {
  std::optional<CallerIndex>& index = made().callers;
  if (!index) index.emplace(*files_.module, architecture_, exports(), reader_);
  return *index;
}

DebugLines* CodeImage::lines() {
  Made& all = made();
  if (!std::exchange(all.looked_for_lines, true))
    for (const ElfFile* file : {files_.debug.get(), files_.module.get()})
      if (file && file->facts().has_lines && !all.lines)
        if (Dwarf* dwarf = open_dwarf(file)) all.lines.emplace(dwarf);
  return all.lines ? &*all.lines : nullptr;
}

const CodeImage::Names& CodeImage::names_at(uint64_t address, bool with_lines) {
  auto& known = made().names[with_lines];
  if (auto found = known.find(address); found != known.end()) return found->second;
  const HeapCount count(memory_bytes_);
  return known.emplace(address, find_names(address, with_lines)).first->second;
}

// The symbol table has the last word on the function that has code of its own: it is there without debug
// information too, and one function has one name then.
CodeImage::Names CodeImage::find_names(uint64_t address, bool with_lines) {
  const size_t most = options_.functions.name_bytes;
  Names names;
  names.export_name = exports().find(address).value_or("");
  DebugLines* debug = with_lines ? lines() : nullptr;
  std::vector<DebugLine> found = debug ? debug->find(address) : std::vector<DebugLine>();
  if (found.empty()) found.emplace_back();
  if (const auto symbol = functions().find(address)) found.back().name = *symbol;
  if (found.back().name.empty()) found.back().name = names.export_name;
  if (found.back().name.empty()) names.reached_from = callers().reached_from(address);
  for (const DebugLine& line : found)
    names.lines.push_back(
        {demangle(line.name, most), bounded_name(line.file, most), line.line, line.inlined});
  return names;
}

bool CodeImage::calls_function_of(uint64_t return_address, uint64_t address, const ElfFile& caller) {
  const size_t size = architecture_.call_size;
  if (return_address < size) return false;
  const auto target = architecture_.call_target(caller.bytes_at(return_address - size, size), return_address);
  if (!target || !caller.is_code(return_address - size) || &caller != files_.module.get()) return false;
  const HeapCount count(memory_bytes_);
  if (const auto start = functions().start_of(address)) return *target == *start;
  return *target <= address && address - *target < kLongestLeaf;
}

}  // namespace loiter
