#include "daemon/inspect/parser/module_store.h"

#include <algorithm>
#include <vector>

namespace loiter {
namespace {

// Perf maps can grow without end: no one of them takes more than this share of the memory.
constexpr size_t kPerfMapShare = 4;

CodeImage::Options image_options(const StackParser::Limits& limits) {
  return {.fd_prefix = limits.fd_prefix,
          .functions = {.functions = limits.symbols, .name_bytes = limits.name_bytes},
          .code_work = limits.code_work};
}

PerfMap::Limits perf_map_limits(const StackParser::Limits& limits) {
  // An entry takes up to two ranges of 32 bytes besides its text.
  const size_t bytes = limits.memory_bytes / kPerfMapShare;
  return {.bytes = bytes, .entries = std::min(limits.symbols, bytes / 64), .name_bytes = limits.name_bytes};
}

template <typename T>
void remove_gone(std::list<std::weak_ptr<T>>& list) {
  list.remove_if([](const std::weak_ptr<T>& entry) { return entry.expired(); });
}

bool belongs_to(const ElfFile& debug, const ElfFile& module) {
  const ModuleFacts &a = debug.facts(), &b = module.facts();
  if (a.build_id != b.build_id) return false;
  return !a.build_id.empty() || (!b.debug_link.empty() && debug.crc() == b.debug_link_crc);
}

}  // namespace

std::shared_ptr<ElfFile> ModuleStore::open(Fd file, ElfFile::Kind kind) {
  std::shared_ptr<ElfFile> opened = ElfFile::open(std::move(file), architecture_.elf_machine, kind);
  if (!opened) return nullptr;
  remove_gone(files_);
  for (const std::weak_ptr<ElfFile>& entry : files_)
    if (std::shared_ptr<ElfFile> known = entry.lock(); known && known->is_same(*opened)) return known;
  files_.push_back(opened);
  return opened;
}

std::shared_ptr<CodeImage> ModuleStore::image_of(CodeImage::Files files) {
  remove_gone(images_);
  for (const std::weak_ptr<CodeImage>& entry : images_)
    if (std::shared_ptr<CodeImage> known = entry.lock(); known && known->files() == files) return known;
  auto image = std::make_shared<CodeImage>(std::move(files), architecture_, reader_, image_options(limits_));
  images_.push_back(image);
  return image;
}

ModuleFacts ModuleStore::add_module(ModuleKey key, Fd file) {
  if (!has_room(key)) return {};
  std::shared_ptr<ElfFile> opened = open(std::move(file), ElfFile::Kind::program);
  Module& module = modules_[key];
  if (!opened) return {};
  module.image = image_of({.module = opened, .debug = nullptr, .supplement = nullptr});
  return opened->facts();
}

ModuleFacts ModuleStore::add_debug_file(ModuleKey key, Fd file) {
  CodeImage* image = this->image(key);
  if (!image || image->files().debug) return {};
  std::shared_ptr<ElfFile> opened = open(std::move(file), ElfFile::Kind::program);
  CodeImage::Files files = image->files();
  if (!opened || !belongs_to(*opened, *files.module)) return {};
  files.debug = opened;
  modules_[key].image = image_of(std::move(files));
  return opened->facts();
}

ModuleFacts ModuleStore::add_supplement(ModuleKey key, Fd file) {
  CodeImage* image = this->image(key);
  if (!image || image->files().supplement) return {};
  std::shared_ptr<ElfFile> opened = open(std::move(file), ElfFile::Kind::supplement);
  CodeImage::Files files = image->files();
  const ElfFile& wanted_by = files.debug ? *files.debug : *files.module;
  if (!opened || opened->facts().build_id.empty() || opened->facts().build_id != wanted_by.alt_build_id())
    return {};
  files.supplement = opened;
  modules_[key].image = image_of(std::move(files));
  return opened->facts();
}

ModuleFacts ModuleStore::add_perf_map(ModuleKey key, Fd file) {
  if (!has_room(key)) return {};
  Module& module = modules_[key];
  std::optional<PerfMap> map = PerfMap::read(file.get(), perf_map_limits(limits_));
  if (!map) return {};
  module.perf_map = std::make_shared<PerfMap>(std::move(*map));
  perf_map_bytes_ += module.perf_map->memory_bytes();
  ModuleFacts facts;
  facts.valid = true;
  facts.has_symbols = module.perf_map->size() > 0;
  return facts;
}

void ModuleStore::forget(ModuleKey key) {
  const auto found = modules_.find(key);
  if (found == modules_.end()) return;
  if (found->second.perf_map) perf_map_bytes_ -= found->second.perf_map->memory_bytes();
  modules_.erase(found);
}

CodeImage* ModuleStore::image(ModuleKey key) {
  const auto found = modules_.find(key);
  if (found == modules_.end() || !found->second.image) return nullptr;
  found->second.image->last_used = ++uses_;
  return found->second.image.get();
}

const PerfMap* ModuleStore::perf_map(ModuleKey key) const {
  const auto found = modules_.find(key);
  return found != modules_.end() ? found->second.perf_map.get() : nullptr;
}

size_t ModuleStore::memory_bytes() const {
  size_t bytes = perf_map_bytes_;
  for (const std::weak_ptr<CodeImage>& entry : images_)
    if (const std::shared_ptr<CodeImage> image = entry.lock()) bytes += image->memory_bytes();
  return bytes;
}

void ModuleStore::trim() {
  size_t bytes = memory_bytes();
  if (bytes <= limits_.memory_bytes) return;
  std::vector<std::shared_ptr<CodeImage>> images;
  for (const std::weak_ptr<CodeImage>& entry : images_)
    if (std::shared_ptr<CodeImage> image = entry.lock()) images.push_back(std::move(image));
  std::sort(images.begin(), images.end(),
            [](const auto& a, const auto& b) { return a->last_used < b->last_used; });
  for (const auto& image : images) {
    if (bytes <= limits_.memory_bytes) break;
    bytes -= image->memory_bytes();
    image->drop();
  }
}

}  // namespace loiter
