#include "daemon/inspect/parser/symbols.h"

#include <bcc/bcc_elf.h>
#include <bcc/bcc_syms.h>
#include <gelf.h>

#include <string_view>

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

}  // namespace

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
