#include "daemon/inspect/maps.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace loiter {
namespace {

// Takes a number off the front and what must follow it.
template <typename T>
bool take(std::string_view& text, T& value, int base, char follows) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  size_t size = static_cast<size_t>(end - text.data());
  if (error != std::errc() || size >= text.size() || text[size] != follows) return false;
  text.remove_prefix(size + 1);
  return true;
}

bool parse_line(std::string_view line, Mapping& mapping) {
  if (!take(line, mapping.start, 16, '-') || !take(line, mapping.end, 16, ' ')) return false;
  if (line.size() < 5 || line[4] != ' ' || mapping.start >= mapping.end) return false;
  mapping.readable = line[0] == 'r';
  mapping.executable = line[2] == 'x';
  line.remove_prefix(5);
  if (!take(line, mapping.offset, 16, ' ') || !take(line, mapping.device_major, 16, ':') ||
      !take(line, mapping.device_minor, 16, ' '))
    return false;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), mapping.inode);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  constexpr std::string_view kDeleted = " (deleted)";
  mapping.deleted = line.ends_with(kDeleted);
  if (mapping.deleted) line.remove_suffix(kDeleted.size());
  mapping.path = line;
  return true;
}

}  // namespace

std::vector<Mapping> parse_maps(std::string_view text, size_t limit) {
  std::vector<Mapping> mappings;
  while (!text.empty() && mappings.size() < limit) {
    size_t size = std::min(text.find('\n'), text.size());
    Mapping mapping;
    if (parse_line(text.substr(0, size), mapping) &&
        (mappings.empty() || mapping.start >= mappings.back().end))
      mappings.push_back(std::move(mapping));
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return mappings;
}

const Mapping* find_mapping(const std::vector<Mapping>& mappings, uint64_t address) {
  auto after = std::upper_bound(mappings.begin(), mappings.end(), address,
                                [](uint64_t a, const Mapping& mapping) { return a < mapping.start; });
  if (after == mappings.begin()) return nullptr;
  const Mapping& mapping = *std::prev(after);
  return address < mapping.end ? &mapping : nullptr;
}

std::vector<Mapping> code_of(const std::vector<Mapping>& mappings) {
  std::vector<Mapping> code;
  std::copy_if(mappings.begin(), mappings.end(), std::back_inserter(code),
               [](const Mapping& mapping) { return mapping.executable; });
  return code;
}

bool is_named_like_libc(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return std::ranges::any_of(std::array{"libc.so", "libc-2", "libpthread", "ld-musl", "libc.musl"},
                             [&](const char* start) { return name.starts_with(start); });
}

}  // namespace loiter
