// Finds the start routine of every thread of a process in its thread descriptor, also of threads that are
// older than the daemon, and gives each distinct one a name. Where that is a wrapper of the C++ library it
// tells what the thread really runs.
//
// What a thread began with never changes: it is read once for each, and asked for again only by who looks
// without what was found before.
//
// Owned by the inspector's thread. Whether a thread is still the same afterwards is for the caller to check.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/inspect/inspection.h"
#include "daemon/inspect/maps.h"
#include "daemon/inspect/modules.h"
#include "daemon/inspect/opener.h"
#include "daemon/inspect/parser/parser.h"
#include "daemon/inspect/pthread_layout.h"

namespace loiter {

class StartRoutineFinder {
 public:
  StartRoutineFinder(const SharedMemory& memory, Opener& opener, Parser& parser, Modules& modules)
      : memory_(memory), opener_(opener), parser_(parser), modules_(modules) {}

  // Sets `routine` of every thread that it can tell it of, and of each of those that ended unjoined.
  // `before`: an inspection of the same process, with the same code mapped; null: none.
  void find(Inspection& inspection, const PthreadLayout& layout, const std::vector<Mapping>& mappings,
            const Inspection* before);

 private:
  struct Start;
  struct Name;
  std::vector<Start> starts_of(Inspection& inspection, const PthreadLayout& layout);
  void read_glibc(const Inspection& inspection, const PthreadLayout& layout, std::vector<Start>& starts);
  void read_musl(const Inspection& inspection, std::vector<Start>& starts);
  template <typename Want, typename Take>
  void read_each(uint32_t pid, std::vector<Start>& starts, uint32_t size, Want want, Take take);
  std::vector<uint64_t> read_words(uint32_t pid, const std::vector<uint64_t>& addresses);
  std::vector<std::string> read_texts(uint32_t pid, const std::vector<uint64_t>& addresses);
  std::optional<UnwindReply> name(uint32_t pid, const std::vector<Mapping>& mappings,
                                  const std::vector<uint64_t>& addresses,
                                  const std::vector<std::string>& type_names);
  void find_callables(const Inspection& inspection, const std::vector<Mapping>& mappings,
                      std::vector<Start>& starts);

  const SharedMemory& memory_;
  Opener& opener_;
  Parser& parser_;
  Modules& modules_;
};

// --- what is pure of it, for its tests -------------------------------------------------------------

// Of the name of a type as RTTI has it: whether it is what std::thread keeps of a thread to run.
bool is_thread_state(std::string_view type_name);
// Whether what it runs is a function (or member function) by its address, which its type does not name.
bool runs_by_pointer(std::string_view type_name);
// "Functor" of "std::thread::_State_impl<std::thread::_Invoker<std::tuple<Functor, int> > >"; else the whole.
std::string callable_of(const std::string& demangled);

}  // namespace loiter
