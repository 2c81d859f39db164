#include "daemon/inspect/parser/stack_parser.h"

#include "daemon/inspect/parser/architecture.h"
#include "daemon/inspect/parser/module_store.h"
#include "daemon/inspect/parser/stack_walk.h"
#include "daemon/inspect/parser/symbols.h"

namespace loiter {

struct StackParser::Impl {
  explicit Impl(const Limits& limits) : limits(limits), store(limits, native_architecture()) {}

  Limits limits;
  ModuleStore store;
};

StackParser::StackParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
StackParser::~StackParser() = default;

ModuleFacts StackParser::add_module(ModuleKey key, Fd file) {
  return impl_->store.add_module(key, std::move(file));
}

ModuleFacts StackParser::add_debug_file(ModuleKey key, Fd file) {
  return impl_->store.add_debug_file(key, std::move(file));
}

ModuleFacts StackParser::add_supplement(ModuleKey key, Fd file) {
  return impl_->store.add_supplement(key, std::move(file));
}

ModuleFacts StackParser::add_perf_map(ModuleKey key, Fd file) {
  return impl_->store.add_perf_map(key, std::move(file));
}

void StackParser::forget(ModuleKey key) {
  impl_->store.forget(key);
}

std::vector<FoundSymbol> StackParser::find_symbols(ModuleKey key, std::span<const std::string> names) {
  const CodeImage* image = impl_->store.image(key);
  if (!image) return std::vector<FoundSymbol>(names.size());
  return loiter::find_symbols(*image->files().module, image->files().debug.get(), names);
}

UnwindReply StackParser::unwind(const UnwindRequest& request) {
  return StackWalk(impl_->store, request, impl_->limits.frames).run();
}

size_t StackParser::memory_bytes() const {
  return impl_->store.memory_bytes();
}

}  // namespace loiter
