#include "daemon/inspect/futex_rust.h"

#include <string_view>

namespace loiter {
namespace {

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != name.npos;
}

// By demangled or mangled name, also of a method: "<std::sync::mutex::Mutex<T>>::lock". The frame below a
// thread's own functions bears their types and waits for nothing.
bool is_of_std(std::string_view name) {
  if (has(name, "__rust_begin_short_backtrace")) return false;
  for (const char* part : {"std::sys", "std::sync", "std::thread", "3std3sys", "3std4sync", "3std6thread"})
    if (has(name, part)) return true;
  return false;
}

// What std itself builds on conditions and on park, which may be inlined: Rust 1.95 has so in Barrier::wait.
std::optional<FutexShape> built_on_others(std::string_view name) {
  if (has(name, "barrier") || has(name, "Barrier")) return FutexShape::rust_barrier;
  if (has(name, "mpsc") || has(name, "mpmc")) return FutexShape::rust_channel;
  return std::nullopt;
}

std::optional<FutexShape> innermost(std::string_view name) {
  if (has(name, "std::thread") || has(name, "3std6thread"))
    return has(name, "park") ? std::optional(FutexShape::rust_park) : std::nullopt;
  if (has(name, "Condvar") || has(name, "condvar")) return FutexShape::rust_condvar;
  if (has(name, "Mutex") || has(name, "mutex") || has(name, "RwLock") || has(name, "rwlock"))
    return FutexShape::rust_lock;
  if (has(name, "Once") || has(name, "once")) return FutexShape::rust_once;
  if (has(name, "ark")) return FutexShape::rust_park;  // Parker, park, thread_parking
  return built_on_others(name);
}

// Before 1.64 also a Once is built on park.
FutexShape refined(FutexShape shape, std::string_view name) {
  if (auto better = built_on_others(name)) return *better;
  if (shape == FutexShape::rust_park && (has(name, "::once") || has(name, "4once")))
    return FutexShape::rust_once;
  return shape;
}

// The work that a Once was given, which may have somebody else's code inlined.
bool calls_others(std::string_view name) {
  return has(name, "closure") && (has(name, "::once") || has(name, "4once"));
}

}  // namespace

std::optional<RustEvidence> rust_evidence(std::span<const StackFunction> functions) {
  if (functions.empty() || !is_of_std(functions.front().name)) return std::nullopt;
  const std::optional<FutexShape> shape = innermost(functions.front().name);
  if (!shape) return std::nullopt;
  RustEvidence evidence{.shape = *shape};
  if (shape != FutexShape::rust_condvar && shape != FutexShape::rust_park) return evidence;
  for (const StackFunction& function : functions.subspan(1)) {
    const std::string_view name = function.name;
    ++evidence.functions;
    if (!is_of_std(name) || calls_others(name)) break;  // no matter what calls that
    evidence.shape = refined(*shape, name);
    if (evidence.shape != *shape) break;
  }
  return evidence;
}

}  // namespace loiter
