#include "daemon/inspect/parser/caller_index.h"

#include <gelf.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "daemon/inspect/futex_object.h"

namespace loiter {
namespace {

constexpr size_t kMostSegments = 1024;
constexpr uint64_t kMostCode = 32 << 20;  // bytes; glibc 2.36: 1.4 MB
constexpr size_t kMostReferences = 1'000'000;
constexpr size_t kMostFunctions = 200'000;  // glibc 2.36: some 3000
constexpr size_t kMostOnTheWay = 64;  // functions without a name between an exported one and the asked for
constexpr size_t kMostNames = 16;

template <typename T>
T value_at(std::span<const std::byte> bytes, size_t offset) {
  T value{};
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof(T))
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

struct Range {
  uint64_t start, end;
};

// The functions that .eh_frame_hdr lists (LSB Core 5.0, 10.6.2), as linkers write it: version 1, a count of
// four bytes, a table of distances from its own beginning (DW_EH_PE_datarel | DW_EH_PE_sdata4).
class FrameHeader {
 public:
  explicit FrameHeader(const ElfFile& file) : file_(file) {
    GElf_Phdr segment;
    for (size_t i = 0; i < kMostSegments && gelf_getphdr(file.elf(), static_cast<int>(i), &segment); ++i)
      if (segment.p_type == PT_GNU_EH_FRAME) address_ = segment.p_vaddr;
  }

  std::vector<Range> functions() const {
    constexpr size_t kHead = 12, kEntry = 8;
    const auto head = file_.bytes_at(address_, kHead);
    if (address_ == 0 || value_at<uint8_t>(head, 0) != 1 || value_at<uint8_t>(head, 2) != 0x03 ||
        value_at<uint8_t>(head, 3) != 0x3b)
      return {};
    const auto count = value_at<uint32_t>(head, 8);
    if (count > kMostFunctions) return {};
    const auto table = file_.bytes_at(address_ + kHead, count * kEntry);
    std::vector<Range> ranges;
    for (size_t i = 0; i < table.size() / kEntry; ++i)
      ranges.push_back(
          range(at(value_at<int32_t>(table, i * kEntry)), at(value_at<int32_t>(table, i * kEntry + 4))));
    return ranges;
  }

 private:
  uint64_t at(int32_t distance) const { return address_ + static_cast<uint64_t>(int64_t{distance}); }

  // Length, distance to the CIE, then the function's distance from there and its size, where they have four
  // bytes. Else it is believed to reach to the next.
  Range range(uint64_t start, uint64_t entry) const {
    const auto bytes = file_.bytes_at(entry, 16);
    const uint64_t told = entry + 8 + static_cast<uint64_t>(int64_t{value_at<int32_t>(bytes, 8)});
    const bool plain = !bytes.empty() && told == start;
    return {start, plain ? start + value_at<uint32_t>(bytes, 12) : UINT64_MAX};
  }

  const ElfFile& file_;
  uint64_t address_ = 0;
};

}  // namespace

CallerIndex::CallerIndex(const ElfFile& file, const Architecture& architecture, const FunctionTable& exports,
                         InstructionReader& reader)
    : file_(file), reader_(reader) {
  bool is_libc = false;
  exports.each([&](uint64_t, uint64_t, std::string_view name) { is_libc = is_libc || is_libc_wait(name); });
  if (!is_libc) return;
  find_functions(exports);
  read_code(architecture);
  read_data();
}

void CallerIndex::find_functions(const FunctionTable& exports) {
  exports.each([&](uint64_t start, uint64_t end, std::string_view name) {
    functions_.push_back({start, end, std::string(name)});
  });
  for (const Range& range : FrameHeader(file_).functions())
    if (file_.is_code(range.start)) functions_.push_back({range.start, range.end, {}});
  // Those with a name first, of one address.
  std::stable_sort(functions_.begin(), functions_.end(),
                   [](const Function& a, const Function& b) { return a.start < b.start; });
  const auto last = std::unique(functions_.begin(), functions_.end(),
                                [](const Function& a, const Function& b) { return a.start == b.start; });
  functions_.erase(last, functions_.end());
  for (size_t i = 0; i + 1 < functions_.size(); ++i)
    functions_[i].end = std::min(functions_[i].end, functions_[i + 1].start);
  functions_.shrink_to_fit();
}

uint32_t CallerIndex::function_at(uint64_t address) const {
  auto after = std::upper_bound(functions_.begin(), functions_.end(), address,
                                [](uint64_t value, const Function& of) { return value < of.start; });
  if (after == functions_.begin() || (--after)->end <= address) return kNowhere;
  return static_cast<uint32_t>(after - functions_.begin());
}

uint32_t CallerIndex::starting_at(uint64_t address) const {
  const uint32_t index = function_at(address);
  return index != kNowhere && functions_[index].start == address ? index : kNowhere;
}

void CallerIndex::read_code(const Architecture& architecture) {
  bool readable = true;
  for (const ElfFile::Loaded& segment : file_.loaded()) {
    if (!segment.code || !readable) continue;
    readable = segment.bytes.size() <= kMostCode;
    if (!readable) break;
    AddressSet wanted(segment.address, segment.bytes.size());
    for (const Function& function : functions_)
      if (function.name.empty()) wanted.add(function.start);
    readable = find_references(architecture, segment.bytes, segment.address, wanted, references_) &&
               references_.size() <= kMostReferences;
  }
  if (!readable) functions_.clear();
  std::sort(references_.begin(), references_.end(),
            [](const CodeReference& a, const CodeReference& b) { return a.target < b.target; });
  references_.shrink_to_fit();
}

// Pointers to functions: in tables, and in what the loader is to relocate.
void CallerIndex::read_data() {
  if (functions_.empty()) return;
  const uint64_t first = functions_.front().start, span = functions_.back().start - first;
  for (const ElfFile::Loaded& segment : file_.loaded())
    for (size_t offset = -segment.address % 8; offset + 8 <= segment.bytes.size(); offset += 8) {
      const auto value = value_at<uint64_t>(segment.bytes, offset);
      if (value - first > span) continue;
      if (const uint32_t index = starting_at(value); index != kNowhere) functions_[index].in_data = true;
    }
}

// Decodes from where a function begins, or where the one before it ends, up to there. What cannot be decoded
// may be anything.
bool CallerIndex::is_reference(const CodeReference& reference) const {
  const auto after = std::upper_bound(functions_.begin(), functions_.end(), reference.at,
                                      [](uint64_t value, const Function& of) { return value < of.start; });
  if (after == functions_.begin()) return true;
  const Function& before = *std::prev(after);
  uint64_t address = before.end <= reference.at ? before.end : before.start;
  while (true) {
    const auto instruction = reader_.read(file_.code_at(address), address);
    if (!instruction) return true;
    if (address + instruction->size > reference.at)
      return instruction->target == reference.target || instruction->refers_to == reference.target;
    address += instruction->size;
  }
}

std::vector<std::string> CallerIndex::reached_from(uint64_t address) const {
  const uint32_t asked = function_at(address);
  if (asked == kNowhere || !functions_[asked].name.empty()) return {};
  std::set<uint32_t> seen{asked};
  std::vector<uint32_t> open{asked};
  std::set<std::string> names;
  while (!open.empty()) {
    const Function& function = functions_[open.back()];
    open.pop_back();
    bool is_reached = false;
    auto at = std::lower_bound(references_.begin(), references_.end(), function.start,
                               [](const CodeReference& of, uint64_t value) { return of.target < value; });
    for (; at != references_.end() && at->target == function.start; ++at) {
      const uint32_t source = function_at(at->at);
      if ((source != kNowhere && &functions_[source] == &function) || !is_reference(*at)) continue;
      is_reached = true;
      if (source == kNowhere) return {};
      const std::string& name = functions_[source].name;
      if (name.empty()) {
        if (seen.insert(source).second) open.push_back(source);
      } else if (is_libc_wait(name)) {
        names.insert(name);
      } else {
        return {};
      }
    }
    if (function.in_data || !is_reached || seen.size() > kMostOnTheWay || names.size() > kMostNames)
      return {};
  }
  return {names.begin(), names.end()};
}

}  // namespace loiter
