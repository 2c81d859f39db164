#include "cli/chain_model.h"

#include "cli/json_read.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

ChainLink parse_link(const json& object) {
  ChainLink link;
  read(object, "pid", link.pid);
  read(object, "tid", link.tid);
  read(object, "comm", link.comm);
  read(object, "name", link.name);
  read(object, "state", link.state);
  link.age = parse_age(object);
  link.wait = parse_wait(object);
  read(object, "via", link.via);
  return link;
}

Chain parse_chain(const json& object) {
  Chain chain;
  if (const json* links = member(object, "links"))
    for (const json& link : *links) chain.links.push_back(parse_link(link));
  read(object, "end", chain.end);
  read(object, "cycle", chain.cycle);
  chain.cycle |= chain.end == "cycle";
  read(object, "waiters", chain.waiters);
  read(object, "detail", chain.detail);
  const size_t last = chain.links.empty() ? 0 : chain.links.size() - 1;
  std::optional<int64_t> root;
  read(object, "root", root);
  chain.root = root && *root >= 0 && static_cast<uint64_t>(*root) <= last ? static_cast<size_t>(*root) : last;
  return chain;
}

}  // namespace

Result<Chains> parse_chains(const json& document) {
  try {
    Chains chains;
    read(document, "as_of", chains.as_of);
    if (const json* process = member(document, "process")) chains.process = parse_process(*process);
    for (const json& chain : document.at("chains")) chains.chains.push_back(parse_chain(chain));
    return chains;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

bool is_hopeless(const Chain& chain) {
  return chain.end == "holder_ended" || chain.end == "inherited" || chain.end == "deadlocked" ||
         chain.end == "only_itself";
}

bool is_telling(const Chain& chain) {
  if (chain.links.empty()) return false;
  if (chain.links.size() > 1 || chain.cycle) return true;
  if (is_hopeless(chain)) return true;
  // Its holder should be known and is not: that is more than a wait for something to come.
  const std::optional<Wait>& wait = chain.links[0].wait;
  return chain.end == "unknown" && wait && wait_class(*wait) == WaitClass::must_end;
}

size_t cycle_entry(const Chain& chain) {
  if (chain.links.empty()) return 0;
  const std::optional<Wait>& wait = chain.links.back().wait;
  for (size_t i = 0; wait && wait->holder_tid && i < chain.links.size(); ++i)
    if (chain.links[i].tid == wait->holder_tid) return i;
  return chain.root;
}

}  // namespace loiter::cli
