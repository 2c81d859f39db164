#include "daemon/inspect/parser/symbols.h"

#include <bcc/bcc_elf.h>
#include <bcc/bcc_syms.h>
#include <gelf.h>

#include <algorithm>
#include <compare>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace loiter {
namespace {

constexpr size_t kMostSections = 1 << 20;

// Labels in assembly have no type: STT_NOTYPE is wanted too.
constexpr uint32_t kTypes = 1u << STT_FUNC | 1u << STT_GNU_IFUNC | 1u << STT_NOTYPE;

// Marks of arm64 between code and data ($x, $d; ELF for the Arm 64-bit Architecture, 5.5.4): no functions.
bool is_mapping_mark(std::string_view name) {
  return name.starts_with("$x") || name.starts_with("$d");
}

struct Target {
  const ElfFile& image;
  FunctionTable& table;
};

int take(const char* name, uint64_t address, uint64_t size, void* payload) {
  const Target& target = *static_cast<Target*>(payload);
  if (is_mapping_mark(name) || !target.image.is_code(address)) return 0;
  return target.table.add(name, address, size) ? 0 : -1;
}

// Which of several symbols with one name is taken: the smallest.
struct Rank {
  uint8_t table = 0xff;  // .dynsym, .symtab, that of the debug file
  bool hidden = true;    // a version that is kept for old programs
  bool local = true;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

class SymbolSearch {
 public:
  SymbolSearch(const ElfFile& module, std::span<const std::string> names)
      : module_(module), found_(names.size()), ranks_(names.size()) {
    for (size_t i = 0; i < names.size(); ++i) index_[names[i]].push_back(i);
  }

  void look_through(const ElfFile& file, bool is_debug) {
    Elf_Scn* section = nullptr;
    for (size_t count = 0; count < kMostSections && (section = elf_nextscn(file.elf(), section)); ++count) {
      GElf_Shdr header;
      if (!gelf_getshdr(section, &header)) return;
      const bool dynamic = header.sh_type == SHT_DYNSYM;
      if ((!dynamic && header.sh_type != SHT_SYMTAB) || header.sh_entsize != sizeof(Elf64_Sym)) continue;
      if (dynamic && is_debug) continue;  // it has the headers of it alone
      look_through(file, section, header, is_debug ? 2 : dynamic ? 0 : 1);
    }
  }

  std::vector<FoundSymbol> take() && { return std::move(found_); }

 private:
  static Elf_Data* versions_of(const ElfFile& file) {
    Elf_Scn* section = nullptr;
    for (size_t count = 0; count < kMostSections && (section = elf_nextscn(file.elf(), section)); ++count) {
      GElf_Shdr header;
      if (gelf_getshdr(section, &header) && header.sh_type == SHT_GNU_versym)
        return elf_getdata(section, nullptr);
    }
    return nullptr;
  }

  void look_through(const ElfFile& file, Elf_Scn* section, const GElf_Shdr& header, uint8_t table) {
    Elf_Data* data = elf_getdata(section, nullptr);
    if (!data) return;
    Elf_Data* versions = table == 0 ? versions_of(file) : nullptr;
    const size_t count = std::min(data->d_size / sizeof(Elf64_Sym), kMostSymbols);
    GElf_Sym symbol;
    for (size_t i = 0; i < count && gelf_getsym(data, static_cast<int>(i), &symbol); ++i) {
      if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS) continue;
      const unsigned type = GELF_ST_TYPE(symbol.st_info);
      if (!(kNamedTypes >> type & 1)) continue;
      const char* text = elf_strptr(file.elf(), header.sh_link, symbol.st_name);
      if (!text || !*text) continue;
      std::string_view name(text, strnlen(text, kLongestName));
      const size_t version = name.find('@', 1);  // "read@@GLIBC_2.2.5", "read@GLIBC_2.0"
      bool hidden = version != name.npos && name.substr(version, 2) != "@@";
      GElf_Versym of_symbol = 0;
      constexpr GElf_Versym kHidden = 0x8000;  // VERSYM_HIDDEN
      if (versions && gelf_getversym(versions, static_cast<int>(i), &of_symbol)) hidden = of_symbol & kHidden;
      auto wanted = index_.find(name.substr(0, version));
      if (wanted == index_.end()) continue;
      const Rank rank{table, hidden, GELF_ST_BIND(symbol.st_info) == STB_LOCAL};
      for (const size_t index : wanted->second) take(index, rank, symbol, type);
    }
  }

  void take(size_t index, const Rank& rank, const GElf_Sym& symbol, unsigned type) {
    if (found_[index].found && !(rank < ranks_[index])) return;
    ranks_[index] = rank;
    const std::optional<uint64_t> offset = module_.offset_of(symbol.st_value);
    found_[index] = {.found = true,
                     .is_code = module_.is_code(symbol.st_value),
                     .is_ifunc = type == STT_GNU_IFUNC,
                     .address = symbol.st_value,
                     .size = symbol.st_size,
                     .has_offset = offset.has_value(),
                     .file_offset = offset.value_or(0)};
  }

  static constexpr size_t kMostSymbols = 4'000'000;
  static constexpr size_t kLongestName = 4096;
  static constexpr uint32_t kNamedTypes = kTypes | 1u << STT_OBJECT;

  const ElfFile& module_;
  std::unordered_map<std::string_view, std::vector<size_t>> index_;
  std::vector<FoundSymbol> found_;
  std::vector<Rank> ranks_;
};

}  // namespace

std::vector<FoundSymbol> find_symbols(const ElfFile& module, const ElfFile* debug,
                                      std::span<const std::string> names) {
  SymbolSearch search(module, names);
  search.look_through(module, false);
  if (debug) search.look_through(*debug, true);
  return std::move(search).take();
}

bool add_symbols(const ElfFile& file, const ElfFile& image, const std::string& fd_prefix,
                 FunctionTable& table) {
  if (!file.has_sound_symbols()) return false;
  bcc_symbol_option option{};
  option.use_symbol_type = kTypes;
  Target target{image, table};
  const std::string path = fd_prefix + std::to_string(file.fd());
  return bcc_elf_foreach_sym(path.c_str(), take, &option, &target) == 0;
}

void add_exports(const ElfFile& file, FunctionTable& table) {
  Elf_Scn* section = nullptr;
  for (size_t count = 0; count < kMostSections && (section = elf_nextscn(file.elf(), section)); ++count) {
    GElf_Shdr header;
    if (!gelf_getshdr(section, &header)) return;
    if (header.sh_type != SHT_DYNSYM || header.sh_entsize != sizeof(Elf64_Sym)) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (!data) return;
    const size_t symbols = data->d_size / header.sh_entsize;
    GElf_Sym symbol;
    for (size_t i = 0; i < symbols && gelf_getsym(data, static_cast<int>(i), &symbol); ++i) {
      const unsigned type = GELF_ST_TYPE(symbol.st_info);
      if (symbol.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC)) continue;
      const char* name = elf_strptr(file.elf(), header.sh_link, symbol.st_name);
      if (name && file.is_code(symbol.st_value) && !table.add(name, symbol.st_value, symbol.st_size)) return;
    }
    return;
  }
}

}  // namespace loiter
