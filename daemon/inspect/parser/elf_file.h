// An ELF file, mapped read-only: its headers, and what tells which file it is.
//
// Shared by the images made of it (code_image.h); one thread. The file is hostile: headers are read through
// libelf, which checks them against the file's size, and every walk over them is bounded. It stays open, as
// the symbol reader of BCC insists on a path (/proc/self/fd/N).
#pragma once

#include <libelf.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/fd.h"
#include "daemon/inspect/stack_types.h"

namespace loiter {

class ElfFile {
 public:
  enum class Kind {
    program,     // an executable or shared object, or the debug file of one
    supplement,  // what dwz has put aside: it says of itself that it is relocatable, and has no segments
  };
  // nullptr: no 64-bit ELF file of that kind and machine (EM_*), or it cannot be mapped.
  static std::shared_ptr<ElfFile> open(Fd file, uint16_t machine, Kind kind = Kind::program);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  int fd() const { return fd_.get(); }
  Elf* elf() const { return elf_; }
  const ModuleFacts& facts() const { return facts_; }
  const std::string& alt_build_id() const { return alt_build_id_; }  // that of dwz's supplement; hexadecimal
  bool has_debug_frame() const { return has_debug_frame_; }
  // Its symbol tables are made of symbols. BCC's reader divides by the size that they claim for one.
  bool has_sound_symbols() const { return has_sound_symbols_; }

  // The address, as the file's own tables count them, of what lies there in the file.
  std::optional<uint64_t> address_of(uint64_t file_offset) const;
  // Where in the file that is what an address names; nothing for what is in no file.
  std::optional<uint64_t> offset_of(uint64_t address) const;
  bool is_code(uint64_t address) const;
  // What the file holds of its segments.
  struct Loaded {
    uint64_t address;
    std::span<const std::byte> bytes;
    bool code;
  };
  std::vector<Loaded> loaded() const;
  // The bytes from an address on to the end of its segment, where that is code.
  std::span<const std::byte> code_at(uint64_t address) const;
  // The bytes at an address, or nothing where the file does not hold them all.
  std::span<const std::byte> bytes_at(uint64_t address, size_t size) const;

  // What .gnu_debuglink counts: a checksum over the whole file.
  uint32_t crc() const;

  // True where both are the same file, or their owner is the same and so is every byte. A build id alone is
  // no proof: whoever builds a file chooses it, and could so name the functions of others.
  bool is_same(const ElfFile& other) const;

 private:
  struct Segment {
    uint64_t offset, file_size, address, memory_size;
    bool code;
  };
  struct Identity {
    dev_t device;
    ino_t inode;
    uid_t owner;
    int64_t modified_ns, changed_ns;
  };
  ElfFile() = default;
  bool map(Fd file);
  bool read_headers(uint16_t machine, Kind kind);
  void read_sections();
  void read_alt_link(Elf_Scn* section);

  Fd fd_;
  Identity identity_{};
  Elf* elf_ = nullptr;
  std::span<const std::byte> bytes_;  // all of the file; of elf_
  std::vector<Segment> segments_;
  ModuleFacts facts_;
  std::string alt_build_id_;
  bool has_debug_frame_ = false;
  bool has_sound_symbols_ = false;
};

}  // namespace loiter
