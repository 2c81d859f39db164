#include "daemon/serve/inspect_documents.h"

#include <cstring>
#include <map>
#include <unordered_map>

#include "daemon/base/bytes.h"
#include "daemon/serve/document_parts.h"

namespace loiter {
namespace {

std::string name_of(const loiter_thread& record) {
  return to_valid_utf8({record.comm, strnlen(record.comm, LOITER_COMM_LEN)});
}

const ThreadView* view_of(const ProcessView* process, uint32_t tid) {
  if (!process) return nullptr;
  for (const ThreadView& thread : process->threads)
    if (thread.key.tid == tid) return &thread;
  return nullptr;
}

// The snapshot knows since when, if it knows of this very wait: equal switch counts.
std::optional<uint64_t> add_age(Json& to, const ThreadView* view, const InspectedThread& thread) {
  bool same = view && thread.blocked && view->key.start_boot_ns == thread.record.id.start_boot_ns &&
              view->voluntary_switches == thread.record.voluntary_switches &&
              view->involuntary_switches == thread.record.involuntary_switches;
  to["blocked_ns"] = same ? value_or_null(view->blocked_ns) : Json(nullptr);
  to["blocked_max_ns"] = same ? value_or_null(view->blocked_max_ns) : Json(nullptr);
  to["exactness"] = same ? exactness_or_null(*view) : Json(nullptr);
  return same ? view->blocked_ns : std::nullopt;
}

Json frame_json(const Inspection& inspection, const CodePlace& place, const CodeLine& line) {
  auto module = inspection.modules.find(place.module);
  return {{"symbol", text_or_null(line.symbol)},
          {"module", module == inspection.modules.end() ? Json(nullptr) : text_or_null(module->second)},
          {"offset", place.module ? place.offset : place.pc},
          {"file", text_or_null(line.file)},
          {"line", line.line ? Json(line.line) : Json(nullptr)},
          {"inlined", line.inlined}};
}

// The frames of a thread as text. Most threads of a process share a few stacks, and all of them their outer
// frames: each is written once.
class StackTexts {
 public:
  explicit StackTexts(const Inspection& inspection) : inspection_(inspection) {}

  const std::string& of(const InspectedThread& thread) {
    static const std::vector<uint32_t> kNone;
    const std::vector<Stack>& stacks = inspection_.stacks.stacks;
    bool has = thread.stack && *thread.stack < stacks.size();
    return text_of(has ? stacks[*thread.stack].places : kNone);
  }

 private:
  const std::string& text_of(const std::vector<uint32_t>& places) {
    auto [found, added] = stacks_.try_emplace(places);
    if (!added) return found->second;
    std::string& text = found->second = "[";
    for (uint32_t place : places) {
      if (text.size() > 1) text += ',';
      text += place_text(place);
    }
    text += ']';
    return text;
  }

  const std::string& place_text(uint32_t index) {
    auto [found, added] = places_.try_emplace(index);
    if (!added) return found->second;
    const CodePlace& place = inspection_.stacks.places[index];
    for (const CodeLine& line : place.lines) {
      if (!found->second.empty()) found->second += ',';
      found->second += dump(frame_json(inspection_, place, line));
    }
    return found->second;
  }

  const Inspection& inspection_;
  std::map<std::vector<uint32_t>, std::string> stacks_;
  std::unordered_map<uint32_t, std::string> places_;
};

Json strings_json(const std::vector<std::string>& strings) {
  Json list = Json::array();
  for (const std::string& text : strings) list.push_back(to_valid_utf8(text));
  return list;
}

Json link_json(const Snapshot& snapshot, const InspectAnswer& answer, const ChainLink& link) {
  const ProcessView* process = snapshot.find(link.pid);
  auto inspection = answer.inspections.find(link.pid);
  const InspectedThread* thread = inspection != answer.inspections.end() && inspection->second
                                      ? inspection->second->find(link.tid)
                                      : nullptr;
  Json json = {{"pid", link.pid},
               {"comm", process ? Json(to_valid_utf8(process->comm.view())) : Json(nullptr)},
               {"tid", link.tid ? Json(link.tid) : Json(nullptr)},
               {"name", thread ? Json(name_of(thread->record)) : Json(nullptr)},
               {"state", thread ? Json(to_string(state_of(thread->record))) : Json(nullptr)}};
  std::optional<uint64_t> blocked_ns;
  if (thread) {
    blocked_ns = add_age(json, view_of(process, link.tid), *thread);
  } else {
    json["blocked_ns"] = nullptr;
    json["blocked_max_ns"] = nullptr;
    json["exactness"] = nullptr;
  }
  json["wait"] = thread ? wait_json(snapshot, *inspection->second, thread, blocked_ns) : Json(nullptr);
  json["via"] = link.via ? Json(link.via) : Json(nullptr);
  return json;
}

}  // namespace

std::string stacks_document(const Picture& picture, const ProcessView& process, const Inspection& inspection,
                            std::optional<uint32_t> tid, bool kernel_stacks) {
  const Snapshot& snapshot = *picture.snapshot;
  DocumentWriter document = begin_document(snapshot);
  document.field("process", process_identity(snapshot, process));
  document.field("failure", text_or_null(inspection.failure));
  std::vector<const InspectedThread*> threads;
  for (const InspectedThread& thread : inspection.threads)
    if (!tid || thread.record.id.tid == *tid) threads.push_back(&thread);
  std::unordered_map<uint32_t, const ThreadView*> views;
  for (const ThreadView& view : process.threads) views[view.key.tid] = &view;
  StackTexts stacks(inspection);
  document.array_of_text("threads", threads, [&](const InspectedThread* thread) {
    Json row = {{"tid", thread->record.id.tid},
                {"name", name_of(thread->record)},
                {"state", to_string(state_of(thread->record))}};
    auto view = views.find(thread->record.id.tid);
    std::optional<uint64_t> blocked_ns = add_age(row, view == views.end() ? nullptr : view->second, *thread);
    row["wait"] = wait_json(snapshot, inspection, thread, blocked_ns);
    row["start_routine"] = routine_json(inspection, thread->routine);
    row["cut"] = text_or_null(thread->cut);
    row["kernel_stack"] = kernel_stacks ? strings_json(thread->kernel_stack) : Json(nullptr);
    std::string text = dump(row);
    text.pop_back();
    text += ",\"stack\":";
    text += stacks.of(*thread);
    text += '}';
    return text;
  });
  return std::move(document).finish();
}

std::string chains_document(const Picture& picture, const ProcessView& process, const InspectAnswer& answer) {
  const Snapshot& snapshot = *picture.snapshot;
  DocumentWriter document = begin_document(snapshot);
  document.field("process", process_identity(snapshot, process));
  document.field("failure", text_or_null(answer.inspection->failure));
  document.array("chains", answer.chains, [&](const Chain& chain) {
    Json row = {{"links", Json::array()}};
    for (const ChainLink& link : chain.links) row["links"].push_back(link_json(snapshot, answer, link));
    row["end"] = to_string(chain.end);
    row["cycle"] = chain.end == ChainEnd::cycle;
    row["waiters"] = chain.waiters;
    row["root"] = chain.root;
    row["detail"] = text_or_null(chain.detail);
    return row;
  });
  return std::move(document).finish();
}

}  // namespace loiter
