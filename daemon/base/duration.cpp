#include "daemon/base/duration.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace loiter {
namespace {

struct Unit {
  std::string_view name;
  double ns;
};

// Longer names first where one begins another.
constexpr std::array<Unit, 7> kUnits{
    {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}}};

constexpr double kMaxNs = 9.2e18;  // keeps sums of two lengths within int64_t

const Unit* take_unit(std::string_view& text) {
  for (const Unit& unit : kUnits) {
    if (text.substr(0, unit.name.size()) != unit.name) continue;
    text.remove_prefix(unit.name.size());
    return &unit;
  }
  return nullptr;
}

std::string print(const char* format, unsigned long long a, unsigned long long b = 0) {
  std::array<char, 48> buffer;
  int length = snprintf(buffer.data(), buffer.size(), format, a, b);
  return {buffer.data(), static_cast<size_t>(length)};
}

// Three significant digits: "1.53s", "15.2ms", "870us".
std::string print_fraction(uint64_t ns, uint64_t unit_ns, const char* unit) {
  double value = static_cast<double>(ns) / static_cast<double>(unit_ns);
  int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::array<char, 48> buffer;
  int length = snprintf(buffer.data(), buffer.size(), "%.*f%s", decimals, value, unit);
  return {buffer.data(), static_cast<size_t>(length)};
}

}  // namespace

std::optional<uint64_t> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    if (text.front() != '.' && (text.front() < '0' || text.front() > '9')) return std::nullopt;
    double value = 0;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const Unit* unit = take_unit(text);
    if (!unit) return std::nullopt;
    total += value * unit->ns;
  }
  if (total > kMaxNs) return std::nullopt;
  return static_cast<uint64_t>(std::llround(total));
}

std::string duration_error(std::string_view text) {
  return "'" + std::string(text) +
         "' is not a length of time: write a number and a unit (ns, us, ms, s, m, h, d), as in 30s";
}

std::string format_duration(uint64_t ns) {
  constexpr uint64_t kUs = 1'000, kMs = 1'000'000, kS = 1'000'000'000;
  if (ns < kUs) return print("%lluns", ns);
  if (ns < kMs - kUs / 2) return print_fraction(ns, kUs, "us");
  if (ns < kS - kMs / 2) return print_fraction(ns, kMs, "ms");
  if (ns < 60 * kS - kS / 20) return print_fraction(ns, kS, "s");
  uint64_t s = ns / kS + (ns % kS >= kS / 2);
  if (s < 3600) return print("%llum%02llus", s / 60, s % 60);
  if (s < 86400) return print("%lluh%02llum", s / 3600, s / 60 % 60);
  return print("%llud%02lluh", s / 86400, s / 3600 % 24);
}

}  // namespace loiter
