#include "daemon/serve/api.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "daemon/serve/finding_documents.h"
#include "daemon/serve/history_documents.h"
#include "daemon/serve/inspect_documents.h"
#include "daemon/serve/origin_documents.h"
#include "daemon/serve/pthread_documents.h"
#include "daemon/serve/unjoined_document.h"

namespace loiter {
namespace {

template <typename T>
std::optional<T> whole_number(const std::string& text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The query's `name` as a number: nullopt inside: not given.
template <typename T>
Result<std::optional<T>> number_in(const Request& request, const char* name) {
  auto found = request.query.find(name);
  if (found == request.query.end()) return std::optional<T>();
  std::optional<T> value = whole_number<T>(found->second);
  if (!value)
    return Error{Error::Kind::usage,
                 std::string(name) + " must be a whole number, not '" + found->second + "'"};
  return value;
}

bool flag_in(const Request& request, const char* name) {
  auto found = request.query.find(name);
  return found != request.query.end() && found->second == "1";
}

constexpr std::string_view kProcessPrefix = "/v1/processes/";

// "/v1/processes/PID", or a part of it: "/v1/processes/PID/stacks".
struct ProcessPath {
  std::string pid_text;
  std::optional<uint32_t> pid;
  std::string part;  // empty: the process itself
};

std::optional<ProcessPath> process_path(const Request& request) {
  if (!request.path.starts_with(kProcessPrefix)) return std::nullopt;
  ProcessPath path;
  path.pid_text = request.path.substr(kProcessPrefix.size());
  size_t slash = path.pid_text.find('/');
  std::string part = slash == std::string::npos ? "" : path.pid_text.substr(slash + 1);
  constexpr std::array kParts = {"stacks", "chains", "unjoined", "pthreads", "origins"};
  if (std::ranges::find(kParts, part) != kParts.end()) {
    path.part = part;
    path.pid_text.resize(slash);
  }
  path.pid = whole_number<uint32_t>(path.pid_text);
  return path;
}

constexpr std::string_view kFindingPrefix = "/v1/findings/";

bool asks_for_findings(const Request& request) {
  return request.path == "/v1/findings" || request.path.starts_with(kFindingPrefix);
}

// The finding that the path or the query names.
std::optional<std::string> finding_in(const Request& request) {
  if (request.path.starts_with(kFindingPrefix)) return request.path.substr(kFindingPrefix.size());
  auto id = request.query.find("id");
  return id == request.query.end() ? std::nullopt : std::optional(id->second);
}

constexpr uint64_t kUsualHistoryNs = 86'400'000'000'000;
constexpr uint64_t kLeastHistoryNs = 1'000'000'000;
constexpr uint64_t kUsualPoints = 60, kMostPoints = 1000;
constexpr uint64_t kUsualLimit = 100, kMostLimit = 1000;
constexpr uint64_t kMostPointsInAll = 60'000;  // some 100 bytes each
constexpr size_t kMostStoredFindings = 256;    // some 20 KB each

Result<HistoryQuery> history_query(const Request& request) {
  HistoryQuery query;
  auto pid = number_in<uint32_t>(request, "pid");
  if (!pid) return pid.error();
  query.pid = *pid;
  if (auto name = request.query.find("name"); name != request.query.end()) query.name = name->second;
  const auto number = [&](const char* key, uint64_t usual, uint64_t least, uint64_t most, auto& into) {
    auto given = number_in<uint64_t>(request, key);
    if (!given) return given.error().message;
    const uint64_t value = given->value_or(usual);
    if (value < least || value > most)
      return std::string(key) + " must be from " + std::to_string(least) + " to " + std::to_string(most);
    into = value;
    return std::string();
  };
  std::string wrong = number("since_ns", kUsualHistoryNs, kLeastHistoryNs, INT64_MAX, query.since_ns);
  if (wrong.empty()) wrong = number("points", kUsualPoints, 1, kMostPoints, query.points);
  if (wrong.empty()) wrong = number("limit", kUsualLimit, 1, kMostLimit, query.limit);
  if (wrong.empty() && query.points * query.limit > kMostPointsInAll)
    wrong = "points times limit must be no more than " + std::to_string(kMostPointsInAll);
  if (wrong.empty() && query.pid && query.name) wrong = "either pid or name";
  if (!wrong.empty()) return Error{Error::Kind::usage, wrong};
  return query;
}

bool says_no(const Request& request, const char* name) {
  auto found = request.query.find(name);
  return found != request.query.end() && found->second == "0";
}

}  // namespace

Answer Api::error(unsigned status, const char* code, const std::string& message) {
  return {status, error_document(code, message)};
}

bool Api::wants_fresh(const Request& request) {
  return flag_in(request, "fresh");
}

bool Api::wants_verdicts(const Request& request) {
  return request.path == "/v1/scan" || asks_for_findings(request) ||
         (is_stream(request) && flag_in(request, "findings"));
}

bool Api::wants_marks(const Request& request) {
  const std::optional<ProcessPath> path = process_path(request);
  return flag_in(request, "findings") && (request.path == "/v1/processes" || (path && path->part.empty()));
}

Result<StreamWish> Api::stream_wish(const Request& request) {
  Result<std::optional<uint32_t>> pid = number_in<uint32_t>(request, "pid");
  if (!pid) return pid.error();
  return StreamWish{
      .pid = *pid, .pthreads = flag_in(request, "pthreads"), .findings = flag_in(request, "findings")};
}

std::optional<InspectRequest> Api::wanted_inspection(const Request& request) const {
  std::optional<ProcessPath> path = process_path(request);
  std::shared_ptr<const Picture> picture = board_.latest();
  if (!path || !path->pid || !picture) return std::nullopt;
  const ProcessView* process = picture->snapshot->find(*path->pid);
  if (!process || process->ended_boot_ns || process->kernel) return std::nullopt;
  // Its live threads tell where they began; where it has made none, there is nothing to be told.
  if (path->part == "origins" && (!process->origins || process->origins->sites.empty())) return std::nullopt;
  InspectRequest wanted{.pid = *path->pid, .start_boot_ns = process->key.start_boot_ns};
  if (path->part == "stacks")
    wanted.kind = InspectRequest::Kind::stacks;
  else if (path->part == "chains")
    wanted.kind = InspectRequest::Kind::chains;
  else if (path->part == "unjoined")
    wanted.kind = InspectRequest::Kind::pthreads;
  else if (path->part == "pthreads" || says_no(request, "waits"))
    return std::nullopt;
  auto tid = number_in<uint32_t>(request, "tid");
  if (!tid) return std::nullopt;  // answer() tells
  wanted.tid = *tid;
  wanted.kernel_stacks = flag_in(request, "kernel");
  wanted.with_lines = !says_no(request, "lines");
  return wanted;
}

std::optional<HistoryQuery> Api::wanted_history(const Request& request) const {
  if (!history_) return std::nullopt;
  if (request.path == "/v1/history") {
    Result<HistoryQuery> query = history_query(request);
    if (!query) return std::nullopt;
    query->goes_on = history_().state == HistoryStatus::State::writing;
    return *query;
  }
  const std::optional<std::string> id = finding_in(request);
  if (!asks_for_findings(request) || (!id && !flag_in(request, "resolved"))) return std::nullopt;
  const auto pid = number_in<uint32_t>(request, "pid");
  if (!pid) return std::nullopt;  // answer() tells
  return HistoryQuery{
      .kind = HistoryQuery::Kind::findings, .pid = *pid, .limit = kMostStoredFindings, .id = id};
}

Answer Api::answer(const Request& request, size_t event_streams, const InspectAnswer* inspection,
                   const HistoryAnswer* history_answer) const {
  std::shared_ptr<const Picture> picture = board_.latest();
  if (!picture) return error(503, "not_ready", "the first census is not done yet: ask again");
  Result<std::optional<uint64_t>> threshold = number_in<uint64_t>(request, "threshold_ns");
  if (!threshold) return error(400, "bad_request", threshold.error().message);
  uint64_t threshold_ns = threshold->value_or(picture->facts->threshold_ns);

  if (request.path == "/v1/status") return {200, status(*picture, request, event_streams)};
  const VerdictsPtr verdicts = verdicts_ ? verdicts_->latest() : nullptr;
  const FindingMarks* marks = verdicts ? &verdicts->marks : nullptr;
  if (request.path == "/v1/processes") return {200, processes_document(*picture, threshold_ns, marks)};
  if (asks_for_findings(request)) return findings(request, history_answer);
  if (request.path == "/v1/history") return history(*picture, request, history_answer);
  if (request.path == "/v1/scan") return scan(*picture, request, threshold_ns);
  if (process_path(request)) return process(*picture, request, threshold_ns, inspection, marks);
  return error(404, "no_such_endpoint", "there is no " + request.path);
}

std::string Api::status(const Picture& picture, const Request& request, size_t event_streams) const {
  const bool measures = measure_hit_ && flag_in(request, "measure");
  const std::optional<Result<UprobeCost>> cost = measures ? std::optional(measure_hit_()) : std::nullopt;
  return with_field(status_document(picture, event_streams, cost ? &*cost : nullptr), "history",
                    dump(history_json(history_ ? history_() : HistoryStatus())));
}

Answer Api::process(const Picture& picture, const Request& request, uint64_t threshold_ns,
                    const InspectAnswer* inspection, const FindingMarks* marks) const {
  ProcessPath path = *process_path(request);
  if (!path.pid || *path.pid == 0)
    return error(400, "bad_request", "'" + path.pid_text + "' is not a process id");
  auto tid = number_in<uint32_t>(request, "tid");
  if (!tid) return error(400, "bad_request", tid.error().message);
  const ProcessView* process = picture.snapshot->find(*path.pid);
  if (!process) return no_process(*picture.snapshot, *path.pid);
  if (path.part.empty())
    return {200, process_document(picture, *process, threshold_ns,
                                  inspection ? inspection->inspection.get() : nullptr,
                                  {flag_in(request, "origins"), !says_no(request, "ended")}, marks)};
  if (path.part == "pthreads") return {200, pthreads_document(picture, *process)};
  if (path.part == "origins")
    return process->ended_boot_ns
               ? no_process(*picture.snapshot, *path.pid)
               : Answer{200, origins_document(picture, *process,
                                              inspection ? inspection->inspection.get() : nullptr)};
  if (!inspection || inspection->inspection->gone) return no_process(*picture.snapshot, *path.pid);
  if (path.part == "unjoined") return {200, unjoined_document(picture, *process, *inspection->inspection)};
  if (inspection->inspection->threads.empty() && !inspection->inspection->failure.empty())
    return error(503, "not_readable", inspection->inspection->failure);
  if (*tid && !inspection->inspection->find(**tid))
    return error(404, "no_such_thread",
                 "process " + path.pid_text + " has no thread " + std::to_string(**tid));
  if (path.part == "chains") return {200, chains_document(picture, *process, *inspection)};
  return {200, stacks_document(picture, *process, *inspection->inspection, *tid, flag_in(request, "kernel"))};
}

Answer Api::findings(const Request& request, const HistoryAnswer* history) const {
  Result<std::optional<uint32_t>> pid = number_in<uint32_t>(request, "pid");
  if (!pid) return error(400, "bad_request", pid.error().message);
  const VerdictsPtr verdicts = verdicts_ ? verdicts_->latest() : nullptr;
  if (!verdicts) return error(503, "not_ready", "nothing has been judged yet: ask again");
  const FindingWish wish{.pid = *pid, .id = finding_in(request), .resolved = flag_in(request, "resolved")};
  return {200, findings_document(*verdicts, wish, history)};
}

Answer Api::history(const Picture& picture, const Request& request, const HistoryAnswer* answer) const {
  const Result<HistoryQuery> query = history_query(request);
  if (!query) return error(400, "bad_request", query.error().message);
  if (!answer)
    return error(503, "no_history", "this loiterd keeps no history: start it without --history-keep 0s");
  if (!answer->failure.empty()) return error(503, "no_history", answer->failure);
  return {200, history_document(*picture.snapshot, *answer)};
}

Answer Api::scan(const Picture& picture, const Request& request, uint64_t threshold_ns) const {
  Result<std::optional<uint32_t>> pid = number_in<uint32_t>(request, "pid");
  if (!pid) return error(400, "bad_request", pid.error().message);
  if (*pid) {
    const ProcessView* process = picture.snapshot->find(**pid);
    if (!process || process->ended_boot_ns) return no_process(*picture.snapshot, **pid);
  }
  const VerdictsPtr verdicts = verdicts_ ? verdicts_->latest() : nullptr;
  return {200, scan_document(picture, verdicts.get(), threshold_ns, *pid, flag_in(request, "strict"))};
}

// Says what the pid is instead, so that the user need not look.
Answer Api::no_process(const Snapshot& snapshot, uint32_t pid) const {
  std::string name = std::to_string(pid);
  if (const ProcessView* owner = snapshot.find_thread(pid))
    return error(404, "is_thread", name + " is a thread of process " + std::to_string(owner->key.tid));
  Procfs::Pid found = procfs_.classify(pid);
  switch (found.kind) {
    case Procfs::PidKind::kernel_thread:
      return error(404, "is_kernel_thread",
                   name + " is a kernel thread: these are left out without --kernel-threads");
    case Procfs::PidKind::thread:
      return error(404, "is_thread", name + " is a thread of process " + std::to_string(found.tgid));
    case Procfs::PidKind::process:
      return error(404, "no_such_process",
                   "process " + name + " has only just begun, or is beyond --max-threads: ask again");
    case Procfs::PidKind::none:
      break;
  }
  if (const ProcessView* ended = snapshot.find(pid); ended && ended->ended_boot_ns)
    return error(404, "no_such_process",
                 "process " + name + " ended at " + snapshot.wall.format(*ended->ended_boot_ns));
  return error(404, "no_such_process", "there is no process " + name);
}

}  // namespace loiter
