#include "daemon/probed_libraries.h"

#include <utility>

namespace loiter {

const PlacedProbes* ProbedLibraries::find(const FileId& id) const {
  const auto found = libraries_.find(id);
  return found == libraries_.end() ? nullptr : &found->second.placed;
}

void ProbedLibraries::add(const FileId& id, PlacedProbes placed, uint64_t mono_ns) {
  libraries_.insert_or_assign(id, Library{std::move(placed), {}, mono_ns});
}

void ProbedLibraries::use(const FileId& id, uint32_t pid) {
  if (const auto found = libraries_.find(id); found != libraries_.end()) found->second.users.insert(pid);
}

void ProbedLibraries::leave(uint32_t pid, uint64_t mono_ns) {
  for (auto& [id, library] : libraries_)
    if (library.users.erase(pid) && library.users.empty()) library.left_mono_ns = mono_ns;
}

std::vector<FileId> ProbedLibraries::unused(uint64_t mono_ns) const {
  std::vector<FileId> ids;
  for (const auto& [id, library] : libraries_)
    if (library.is_unused(mono_ns)) ids.push_back(id);
  return ids;
}

PlacedProbes ProbedLibraries::take_unused(const FileId& id, uint64_t mono_ns) {
  const auto found = libraries_.find(id);
  if (found == libraries_.end() || !found->second.is_unused(mono_ns)) return {};
  PlacedProbes placed = std::move(found->second.placed);
  libraries_.erase(found);
  return placed;
}

size_t ProbedLibraries::functions() const {
  size_t functions = 0;
  for (const auto& [id, library] : libraries_) functions += library.placed.functions.size();
  return functions;
}

}  // namespace loiter
