// Functions by address: filled once, sorted, then asked. Names lie in one pool.
//
// Owned by a CodeImage, one thread. What it is filled with is hostile: functions may overlap, be empty, share
// an address or have names of any length and content; the bounds are in numbers, and what did not fit is
// counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loiter {

class FunctionTable {
 public:
  struct Limits {
    size_t functions = 4'000'000;
    size_t name_bytes = 4096;  // a longer name is cut, with "..." at its end
  };
  explicit FunctionTable(const Limits& limits) : limits_(limits) {}

  // False: it is full. A version ("read@@GLIBC_2.2.5") is cut off. `size` 0: unknown.
  bool add(std::string_view name, uint64_t address, uint64_t size);

  // No more will come. Of those with one address the plainest name stays, the same one in each process.
  // `complete`: these are all functions of the file (.symtab), so that one without a size may be believed to
  // reach to the next; else it is left out, as functions without a name may follow it (musl's memset).
  void finish(bool complete);

  // The name of the function that covers an address.
  std::optional<std::string_view> find(uint64_t address) const;
  // All of them, ascending.
  void each(const std::function<void(uint64_t start, uint64_t end, std::string_view name)>& take) const;
  // Where that function begins.
  std::optional<uint64_t> start_of(uint64_t address) const;

  size_t size() const { return functions_.size(); }
  size_t left_out() const { return left_out_; }

 private:
  struct Function {
    uint64_t start;
    uint64_t end;
    uint32_t name;  // in names_
    uint32_t name_size;
  };
  std::string_view name_of(const Function& function) const;
  bool is_plainer(const Function& a, const Function& b) const;
  void end_the_endless(bool complete);
  const Function* at(uint64_t address) const;

  Limits limits_;
  std::vector<Function> functions_;
  std::string names_;
  size_t left_out_ = 0;
};

// A name cut to its bound, with "..." at its end where something is missing.
std::string bounded_name(std::string_view name, size_t most_bytes);

}  // namespace loiter
