#include "daemon/inspect/parser/elf_file.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace loiter {
namespace {

constexpr size_t kMostSegments = 1024;
constexpr size_t kMostSections = 1 << 20;
constexpr size_t kLongestBuildId = 64;  // SHA-1 has 20 bytes
constexpr size_t kLongestLink = 4096;

std::string hexadecimal(const void* data, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < std::min(size, kLongestBuildId); ++i) {
    const unsigned byte = static_cast<const unsigned char*>(data)[i];
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::shared_ptr<ElfFile> ElfFile::open(Fd file, uint16_t machine, Kind kind) {
  elf_version(EV_CURRENT);
  std::shared_ptr<ElfFile> elf(new ElfFile);
  if (!elf->map(std::move(file)) || !elf->read_headers(machine, kind)) return nullptr;
  elf->read_sections();
  elf->facts_.valid = true;
  return elf;
}

ElfFile::~ElfFile() {
  if (elf_) elf_end(elf_);
}

bool ElfFile::map(Fd file) {
  struct stat status {};
  if (fstat(file.get(), &status) || !S_ISREG(status.st_mode) || status.st_size < EI_NIDENT) return false;
  fd_ = std::move(file);
  identity_ = {status.st_dev, status.st_ino, status.st_uid, nanoseconds(status.st_mtim),
               nanoseconds(status.st_ctim)};
  // Read-only and private. Not elf_memory(): that has no copy of the headers, which elf_compress() writes to.
  elf_ = elf_begin(fd_.get(), ELF_C_READ_MMAP, nullptr);
  size_t size = 0;
  const char* bytes = elf_ ? elf_rawfile(elf_, &size) : nullptr;
  if (bytes) bytes_ = {reinterpret_cast<const std::byte*>(bytes), size};
  return bytes != nullptr;
}

bool ElfFile::read_headers(uint16_t machine, Kind kind) {
  GElf_Ehdr header;
  if (elf_kind(elf_) != ELF_K_ELF || !gelf_getehdr(elf_, &header)) return false;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) return false;
  const bool runs = header.e_type == ET_EXEC || header.e_type == ET_DYN;
  if (header.e_machine != machine || (!runs && (kind == Kind::program || header.e_type != ET_REL)))
    return false;
  size_t count = 0;
  if (elf_getphdrnum(elf_, &count) || count > kMostSegments) return false;
  if (count == 0 && kind == Kind::program) return false;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (!gelf_getphdr(elf_, static_cast<int>(i), &segment)) return false;
    if (segment.p_type != PT_LOAD) continue;
    segments_.push_back({segment.p_offset, segment.p_filesz, segment.p_vaddr,
                         std::max(segment.p_memsz, segment.p_filesz), (segment.p_flags & PF_X) != 0});
  }
  const void* build_id = nullptr;
  const ssize_t size = dwelf_elf_gnu_build_id(elf_, &build_id);
  if (size > 0) facts_.build_id = hexadecimal(build_id, static_cast<size_t>(size));
  return true;
}

void ElfFile::read_sections() {
  size_t names = 0;
  if (elf_getshdrstrndx(elf_, &names)) return;
  bool sound = true;
  Elf_Scn* section = nullptr;
  for (size_t count = 0; count < kMostSections && (section = elf_nextscn(elf_, section)); ++count) {
    GElf_Shdr header;
    if (!gelf_getshdr(section, &header)) return;
    if ((header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) &&
        header.sh_entsize != sizeof(Elf64_Sym))
      sound = false;
    const char* text = header.sh_type == SHT_NOBITS ? nullptr : elf_strptr(elf_, names, header.sh_name);
    if (!text) continue;
    const std::string_view name = text;
    if (header.sh_type == SHT_SYMTAB) facts_.has_symbols = true;
    if (name == ".debug_info" || name == ".zdebug_info") facts_.has_lines = true;
    if (name == ".debug_frame" || name == ".zdebug_frame") has_debug_frame_ = true;
    if (name == ".gnu_debugaltlink") read_alt_link(section);
  }
  has_sound_symbols_ = sound;
  GElf_Word crc = 0;
  const char* link = dwelf_elf_gnu_debuglink(elf_, &crc);
  if (!link || strnlen(link, kLongestLink) == kLongestLink) return;
  facts_.debug_link = link;
  facts_.debug_link_crc = crc;
}

// A path, a zero, and the build id of the file it leads to (dwz(1)).
void ElfFile::read_alt_link(Elf_Scn* section) {
  const Elf_Data* data = elf_rawdata(section, nullptr);
  if (!data || !data->d_buf) return;
  const std::string_view content(static_cast<const char*>(data->d_buf), data->d_size);
  const size_t end = content.find('\0');
  if (end == std::string_view::npos || end > kLongestLink) return;
  facts_.alt_link = content.substr(0, end);
  alt_build_id_ = hexadecimal(content.data() + end + 1, content.size() - end - 1);
}

// Segments may share a page of the file, and so be mapped twice; what lies at an offset belongs to one of
// them, to that with code where the headers say more.
std::optional<uint64_t> ElfFile::address_of(uint64_t file_offset) const {
  const Segment* found = nullptr;
  for (const Segment& segment : segments_) {
    if (file_offset < segment.offset || file_offset - segment.offset >= segment.file_size) continue;
    if (!found || (segment.code && !found->code)) found = &segment;
  }
  if (!found) return std::nullopt;
  return found->address + (file_offset - found->offset);
}

std::optional<uint64_t> ElfFile::offset_of(uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (address < segment.address || address - segment.address >= segment.file_size) continue;
    const uint64_t within = address - segment.address;
    if (segment.offset > bytes_.size() || within >= bytes_.size() - segment.offset) continue;
    return segment.offset + within;
  }
  return std::nullopt;
}

bool ElfFile::is_code(uint64_t address) const {
  return std::any_of(segments_.begin(), segments_.end(), [&](const Segment& segment) {
    return segment.code && address >= segment.address && address - segment.address < segment.memory_size;
  });
}

std::vector<ElfFile::Loaded> ElfFile::loaded() const {
  std::vector<Loaded> all;
  for (const Segment& segment : segments_) {
    if (segment.offset >= bytes_.size()) continue;
    const uint64_t size = std::min<uint64_t>(segment.file_size, bytes_.size() - segment.offset);
    all.push_back({segment.address, bytes_.subspan(segment.offset, size), segment.code});
  }
  return all;
}

std::span<const std::byte> ElfFile::code_at(uint64_t address) const {
  for (const Segment& segment : segments_) {
    if (!segment.code || address < segment.address || address - segment.address >= segment.file_size)
      continue;
    return bytes_at(address, segment.file_size - (address - segment.address));
  }
  return {};
}

std::span<const std::byte> ElfFile::bytes_at(uint64_t address, size_t size) const {
  for (const Segment& segment : segments_) {
    if (address < segment.address) continue;
    const uint64_t within = address - segment.address;
    if (within >= segment.file_size || segment.file_size - within < size) continue;
    if (segment.offset > bytes_.size() || bytes_.size() - segment.offset < within + size) continue;
    return bytes_.subspan(segment.offset + within, size);
  }
  return {};
}

uint32_t ElfFile::crc() const {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes_.data()), bytes_.size()));
}

bool ElfFile::is_same(const ElfFile& other) const {
  const Identity &a = identity_, &b = other.identity_;
  if (bytes_.size() != other.bytes_.size() || a.owner != b.owner) return false;
  if (a.device == b.device && a.inode == b.inode && a.modified_ns == b.modified_ns &&
      a.changed_ns == b.changed_ns)
    return true;
  return facts_.build_id == other.facts_.build_id && !facts_.build_id.empty() &&
         std::memcmp(bytes_.data(), other.bytes_.data(), bytes_.size()) == 0;
}

}  // namespace loiter
