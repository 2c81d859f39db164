#include "daemon/inspect/chain.h"

#include <algorithm>
#include <set>

namespace loiter {
namespace {

constexpr size_t kMaxProcesses = 32;
constexpr size_t kMaxLinks = 256;
constexpr int kMaxDepth = 8;  // processes one behind the other of which the right thread is to be found

const char* via_of(const Wait& wait) {
  switch (wait.kind) {
    case WaitKind::join:
      return "join";
    case WaitKind::file_lock:
      return "file_lock";
    case WaitKind::wait_child:
      return "wait_child";
    case WaitKind::vfork:
      return "vfork";
    default:
      return "lock";
  }
}

// Waits that somebody else must end, and of which it can be told who.
bool depends_on_somebody(const Wait& wait) {
  return wait.holder.state == HolderState::alive || !wait.peers.empty() || wait.kind == WaitKind::lock ||
         wait.kind == WaitKind::barrier || wait.only_itself || wait.kind == WaitKind::file_lock;
}

}  // namespace

const InspectedThread* Inspection::find(uint32_t tid) const {
  auto found = std::lower_bound(
      threads.begin(), threads.end(), tid,
      [](const InspectedThread& thread, uint32_t wanted) { return thread.record.id.tid < wanted; });
  return found != threads.end() && found->record.id.tid == tid ? &*found : nullptr;
}

std::optional<SiteFrame> Inspection::routine_frame(const std::optional<uint32_t>& index) const {
  if (!index || *index >= routines.size()) return std::nullopt;
  SiteFrame frame;
  frame.symbol = routines[*index].symbol;
  if (auto module = modules.find(routines[*index].module); module != modules.end())
    frame.module = module->second;
  frame.offset = routines[*index].offset;
  return frame;
}

const char* to_string(ChainEnd end) {
  switch (end) {
    case ChainEnd::running:
      return "running";
    case ChainEnd::waits:
      return "waits";
    case ChainEnd::cycle:
      return "cycle";
    case ChainEnd::holder_ended:
      return "holder_ended";
    case ChainEnd::inherited:
      return "inherited";
    case ChainEnd::deadlocked:
      return "deadlocked";
    case ChainEnd::only_itself:
      return "only_itself";
    case ChainEnd::unknown:
      return "unknown";
    case ChainEnd::too_long:
      return "too_long";
  }
  return "unknown";
}

InspectionPtr ChainFinder::look(uint32_t pid) {
  auto found = inspections_.find(pid);
  if (found != inspections_.end()) return found->second;
  if (inspections_.size() >= kMaxProcesses) return nullptr;
  return inspections_[pid] = inspect_(pid);
}

const InspectedThread* ChainFinder::thread_at(const Node& node) {
  InspectionPtr inspection = look(node.first);
  return inspection ? inspection->find(node.second) : nullptr;
}

ChainFinder::Step ChainFinder::step_from(const Node& node) {
  auto known = steps_.find(node);
  if (known != steps_.end()) return known->second;
  // Asked for again while it is being found, by a way through other processes: which of their threads is
  // meant cannot be told by it.
  Step step{{}, nullptr, ChainEnd::unknown, "it leads back to where it comes from"};
  steps_[node] = step;
  const InspectedThread* thread = thread_at(node);
  if (!thread)
    step = {{}, nullptr, ChainEnd::holder_ended, "it has ended"};
  else if (!thread->blocked)
    step = {{}, nullptr, ChainEnd::running, {}};
  else if (!thread->wait)
    step = {{}, nullptr, ChainEnd::unknown, "what it waits for could not be told"};
  else
    step = to_holder(node, *thread->wait);
  return steps_[node] = step;
}

ChainFinder::Step ChainFinder::to_holder(const Node& node, const Wait& wait) {
  const Holder& holder = wait.holder;
  switch (holder.state) {
    case HolderState::alive:
      if (holder.tid) return {Node{holder.pid, holder.tid}, via_of(wait), ChainEnd::waits, {}};
      return to_process(holder.pid, via_of(wait));
    case HolderState::ended:
      return {{}, nullptr, ChainEnd::holder_ended, "who held it has ended"};
    case HolderState::inherited:
      return {{}, nullptr, ChainEnd::inherited, "it was locked when the process was forked"};
    case HolderState::deadlocked:
      return {{}, nullptr, ChainEnd::deadlocked, "to wait for it would have closed a circle"};
    case HolderState::unknown:
      return {{}, nullptr, ChainEnd::unknown, "who holds it could not be told"};
    case HolderState::none:
      return {{}, nullptr, ChainEnd::unknown, "this kind of lock names no holder"};
    case HolderState::inapplicable:
      break;
  }
  if (wait.peers.empty()) return {{}, nullptr, ChainEnd::waits, {}};
  return to_peer(node, wait);
}

ChainFinder::Step ChainFinder::to_peer(const Node& node, const Wait& wait) {
  const char* via = wait.object.starts_with("pipe") || wait.object.starts_with("fifo") ? "pipe" : "socket";
  std::set<uint32_t> others;
  for (const Peer& peer : wait.peers) others.insert(peer.pid);
  if (others.size() > 1) others.erase(node.first);  // it holds its own other end as well, as after a fork
  if (others.size() > 1)
    return {{},
            nullptr,
            ChainEnd::unknown,
            "any of " + std::to_string(others.size()) + " processes could be at the other end"};
  if (*others.begin() == node.first) {
    InspectionPtr own = look(node.first);
    if (wait.only_itself) return {{}, nullptr, ChainEnd::only_itself, "only it itself is at the other end"};
    if (!own || own->threads.size() < 2)
      return {{}, nullptr, ChainEnd::waits, "only it itself is at the other end"};
    return {{}, nullptr, ChainEnd::waits, "its own process is at the other end"};
  }
  return to_process(*others.begin(), via);
}

ChainFinder::Step ChainFinder::to_process(uint32_t pid, const char* via) {
  InspectionPtr inspection = look(pid);
  if (!inspection || inspection->gone || inspection->threads.empty())
    return {{}, via, ChainEnd::unknown, "process " + std::to_string(pid) + " could not be looked into"};
  if (inspection->threads.size() == 1)
    return {Node{pid, inspection->threads.front().record.id.tid}, via, ChainEnd::waits, {}};
  return to_one_of(pid, *inspection, via);
}

// Of several threads the one meant can be told only where all that depend on somebody lead to one root.
ChainFinder::Step ChainFinder::to_one_of(uint32_t pid, const Inspection& inspection, const char* via) {
  Step whole{Node{pid, 0}, via, ChainEnd::waits, {}};
  if (depth_ >= kMaxDepth) return whole;
  ++depth_;
  std::set<Node> roots;
  std::optional<Node> longest;
  size_t length = 0;
  for (const InspectedThread& thread : inspection.threads) {
    if (!thread.blocked || !thread.wait || !depends_on_somebody(*thread.wait)) continue;
    Node node{pid, thread.record.id.tid};
    Chain chain = follow(node);
    const ChainLink& root = chain.links[chain.root];
    roots.insert({root.pid, root.tid});
    if (chain.links.size() > length) {
      length = chain.links.size();
      longest = node;
    }
  }
  --depth_;
  if (roots.size() == 1) whole.next = longest;
  whole.inferred = true;
  return whole;
}

Chain ChainFinder::follow(Node node) {
  Chain chain;
  std::map<Node, size_t> seen;
  const char* via = nullptr;
  while (true) {
    if (auto again = seen.find(node); again != seen.end()) {
      chain.end = ChainEnd::cycle;
      chain.root = again->second;
      return chain;
    }
    seen[node] = chain.links.size();
    chain.links.push_back({node.first, node.second, via});
    chain.root = chain.links.size() - 1;
    if (chain.links.size() >= kMaxLinks) {
      chain.end = ChainEnd::too_long;
      return chain;
    }
    if (node.second == 0) {  // the process as a whole
      chain.end = ChainEnd::unknown;
      chain.detail = "any thread of it could be the one";
      return chain;
    }
    Step step = step_from(node);
    if (!step.next) {
      chain.end = step.end;
      chain.detail = step.detail;
      return chain;
    }
    node = *step.next;
    via = step.via;
  }
}

// The same for all chains that end there: of a cycle its least member.
ChainFinder::Node ChainFinder::root_of(const Chain& chain) {
  const ChainLink& root = chain.links[chain.root];
  Node node{root.pid, root.tid};
  if (chain.end == ChainEnd::cycle)
    for (size_t i = chain.root; i < chain.links.size(); ++i)
      node = std::min(node, Node{chain.links[i].pid, chain.links[i].tid});
  return node;
}

// In all processes that have been looked into by now: a root in one may keep threads of another waiting.
std::map<ChainFinder::Node, size_t> ChainFinder::count_waiters() {
  std::map<Node, size_t> waiters;
  const std::map<uint32_t, InspectionPtr> looked_at = inspections_;
  for (const auto& [pid, inspection] : looked_at) {
    if (!inspection) continue;
    for (const InspectedThread& thread : inspection->threads) {
      if (!thread.blocked) continue;
      Chain chain = follow({pid, thread.record.id.tid});
      if (!stands_alone(chain)) ++waiters[root_of(chain)];
    }
  }
  return waiters;
}

// It waits for nobody, and is nobody's waiter.
bool ChainFinder::stands_alone(const Chain& chain) {
  return chain.links.size() == 1 && chain.end != ChainEnd::cycle && chain.end != ChainEnd::holder_ended &&
         chain.end != ChainEnd::inherited && chain.end != ChainEnd::deadlocked &&
         chain.end != ChainEnd::only_itself;
}

Chain ChainFinder::from(uint32_t pid, uint32_t tid) {
  Chain chain = follow({pid, tid});
  std::map<Node, size_t> waiters = count_waiters();
  if (auto found = waiters.find(root_of(chain)); found != waiters.end()) chain.waiters = found->second;
  return chain;
}

std::vector<Chain> ChainFinder::roots(uint32_t pid) {
  InspectionPtr inspection = look(pid);
  if (!inspection) return {};
  std::map<Node, Chain> by_root;
  for (const InspectedThread& thread : inspection->threads) {
    if (!thread.blocked) continue;
    Chain chain = follow({pid, thread.record.id.tid});
    if (stands_alone(chain)) continue;
    Chain& kept = by_root[root_of(chain)];
    if (kept.links.empty() || chain.links.size() > kept.links.size()) kept = std::move(chain);
  }
  std::map<Node, size_t> waiters = count_waiters();
  std::vector<Chain> chains;
  for (auto& [root, chain] : by_root) {
    chain.waiters = waiters[root];
    chains.push_back(std::move(chain));
  }
  std::stable_sort(chains.begin(), chains.end(),
                   [](const Chain& a, const Chain& b) { return a.waiters > b.waiters; });
  return chains;
}

std::vector<WaitEdge> ChainFinder::edges(uint32_t pid) {
  std::vector<WaitEdge> edges;
  std::set<uint32_t> done;
  std::vector<uint32_t> next = {pid};
  while (!next.empty()) {
    const uint32_t at = next.back();
    next.pop_back();
    InspectionPtr inspection = done.insert(at).second ? look(at) : nullptr;
    if (!inspection) continue;
    for (const InspectedThread& thread : inspection->threads) {
      if (!thread.blocked || !thread.wait) continue;
      const Step step = step_from({at, thread.record.id.tid});
      WaitEdge& edge = edges.emplace_back();
      edge.pid = at;
      edge.tid = thread.record.id.tid;
      edge.via = step.via;
      edge.inferred = step.inferred;
      edge.end = step.end;
      edge.detail = step.detail;
      if (!step.next) continue;
      edge.to_pid = step.next->first;
      edge.to_tid = step.next->second;
      if (edge.to_pid != at) next.push_back(edge.to_pid);
    }
  }
  return edges;
}

}  // namespace loiter
