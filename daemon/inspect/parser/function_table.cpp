#include "daemon/inspect/parser/function_table.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace loiter {
namespace {

// How many functions that begin behind an outer one are looked at before the outer one is given up. Compilers
// nest none; assembly does, by a few.
constexpr size_t kDeepestNesting = 16;
constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();
constexpr std::string_view kCutMark = "...";

}  // namespace

std::string bounded_name(std::string_view name, size_t most_bytes) {
  if (name.size() <= most_bytes) return std::string(name);
  const size_t kept = most_bytes > kCutMark.size() ? most_bytes - kCutMark.size() : 0;
  return std::string(name.substr(0, kept)).append(kCutMark.substr(0, most_bytes));
}

bool FunctionTable::add(std::string_view name, uint64_t address, uint64_t size) {
  if (const size_t version = name.find('@', 1); version != std::string_view::npos)
    name = name.substr(0, version);
  const std::string bounded = bounded_name(name, limits_.name_bytes);
  if (functions_.size() >= limits_.functions || names_.size() + bounded.size() > UINT32_MAX) {
    ++left_out_;
    return false;
  }
  const uint64_t end = size == 0 ? kEndless : address + std::min(size, kEndless - 1 - address);
  if (address == kEndless || bounded.empty() || end <= address) return true;
  functions_.push_back(
      {address, end, static_cast<uint32_t>(names_.size()), static_cast<uint32_t>(bounded.size())});
  names_ += bounded;
  return true;
}

std::string_view FunctionTable::name_of(const Function& function) const {
  return std::string_view(names_).substr(function.name, function.name_size);
}

// libc calls one function __GI___read, __libc_read, __read and read.
bool FunctionTable::is_plainer(const Function& a, const Function& b) const {
  const std::string_view name_a = name_of(a), name_b = name_of(b);
  const auto rank = [](const Function& function, std::string_view name) {
    return std::tuple(function.end == kEndless, name.find_first_not_of('_'), name.size());
  };
  const auto rank_a = rank(a, name_a), rank_b = rank(b, name_b);
  return rank_a != rank_b ? rank_a < rank_b : name_a < name_b;
}

void FunctionTable::finish(bool complete) {
  std::sort(functions_.begin(), functions_.end(), [&](const Function& a, const Function& b) {
    return a.start != b.start ? a.start < b.start : is_plainer(a, b);
  });
  const auto last = std::unique(functions_.begin(), functions_.end(),
                                [](const Function& a, const Function& b) { return a.start == b.start; });
  functions_.erase(last, functions_.end());
  end_the_endless(complete);
  functions_.shrink_to_fit();
  names_.shrink_to_fit();
}

// Labels within a function of known size name nothing; others reach to what comes next.
void FunctionTable::end_the_endless(bool complete) {
  uint64_t covered = 0;
  size_t kept = 0;
  for (size_t i = 0; i < functions_.size(); ++i) {
    Function function = functions_[i];
    if (function.end == kEndless) {
      if (!complete || function.start < covered) continue;
      if (i + 1 < functions_.size()) function.end = functions_[i + 1].start;
    } else {
      covered = std::max(covered, function.end);
    }
    functions_[kept++] = function;
  }
  functions_.resize(kept);
}

const FunctionTable::Function* FunctionTable::at(uint64_t address) const {
  auto after =
      std::upper_bound(functions_.begin(), functions_.end(), address,
                       [](uint64_t value, const Function& function) { return value < function.start; });
  for (size_t i = 0; i < kDeepestNesting && after != functions_.begin(); ++i)
    if ((--after)->end > address) return &*after;
  return nullptr;
}

void FunctionTable::each(
    const std::function<void(uint64_t start, uint64_t end, std::string_view name)>& take) const {
  for (const Function& function : functions_) take(function.start, function.end, name_of(function));
}

std::optional<std::string_view> FunctionTable::find(uint64_t address) const {
  const Function* function = at(address);
  return function ? std::optional(name_of(*function)) : std::nullopt;
}

std::optional<uint64_t> FunctionTable::start_of(uint64_t address) const {
  const Function* function = at(address);
  return function ? std::optional(function->start) : std::nullopt;
}

}  // namespace loiter
