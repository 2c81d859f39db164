#include "daemon/serve/event_hub.h"

#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "daemon/base/bytes.h"
#include "daemon/serve/documents.h"
#include "daemon/serve/finding_documents.h"
#include "daemon/serve/pthread_documents.h"

namespace loiter {
namespace {

Json head(const char* type, uint64_t boot_ns, const WallClock& wall) {
  return {{"type", type}, {"time", wall.format(boot_ns)}, {"boottime_ns", boot_ns}};
}

// A name that the model adds; it does not know that of every thread.
Json name_or_null(const std::string& name) {
  return name.empty() ? Json(nullptr) : Json(to_valid_utf8(name));
}

void add_exit(Json& json, const Event& event) {
  int status = static_cast<int>(event.exit_code);
  json["exit_code"] = WIFEXITED(status) ? Json(WEXITSTATUS(status)) : Json(nullptr);
  json["signal"] = WIFSIGNALED(status) ? Json(WTERMSIG(status)) : Json(nullptr);
  json["cpu_ns"] = event.cpu_ns;
}

void add_call(Json& json, const Event& event) {
  const bool create = event.call == LOITER_PTHREAD_CREATE;
  const bool exit = event.call == LOITER_PTHREAD_EXIT;
  json["function"] = function_of(event.call);
  json["pthread"] = create ? Json(nullptr) : Json(hexadecimal(exit ? event.tls_base : event.thread));
  json["routine"] = create ? Json(hexadecimal(event.routine)) : Json(nullptr);
  json["argument"] = create || exit ? Json(hexadecimal(event.arg)) : Json(nullptr);
  json["detached"] = !create || event.detached == LOITER_DETACHED_UNKNOWN
                         ? Json(nullptr)
                         : Json(event.detached == LOITER_DETACHED);
}

Json event_json(const Event& event, const std::string& old_name, const WallClock& wall) {
  static constexpr const char* kTypes[] = {"", "birth", "exec", "exit", "rename", "pthread"};
  Json json = head(kTypes[event.type], event.boot_ns, wall);
  json["pid"] = event.task.tgid;
  json["tid"] = event.task.tid;
  if (event.type == LOITER_EVENT_EXEC) json["old_tid"] = event.old_tid;
  if (event.type != LOITER_EVENT_PTHREAD)
    json["name"] =
        event.type == LOITER_EVENT_EXIT ? name_or_null(event.name) : Json(to_valid_utf8(event.name));
  switch (event.type) {
    case LOITER_EVENT_BIRTH:
      json["process"] = event.task.tid == event.task.tgid;
      json["creator_pid"] = event.creator.tgid;
      json["creator_tid"] = event.creator.tid;
      break;
    case LOITER_EVENT_EXEC:
      json["filename"] = to_valid_utf8(event.filename);
      break;
    case LOITER_EVENT_EXIT:
      add_exit(json, event);
      break;
    case LOITER_EVENT_RENAME:
      json["old_name"] = name_or_null(old_name);
      break;
    case LOITER_EVENT_PTHREAD:
      add_call(json, event);
      break;
  }
  return json;
}

}  // namespace

std::unique_ptr<EventHub::Reader> EventHub::open(const StreamWish& wish, uint64_t now_boot_ns,
                                                 std::function<void()> wake) {
  auto reader = std::make_unique<Reader>();
  Json start = {{"schema", kSchema}};
  start.update(head("start", now_boot_ns, WallClock::now()));
  std::lock_guard lock(mutex_);
  if (readers_.size() >= kMaxReaders) return nullptr;
  reader->hub_ = this;
  reader->wish_ = wish;
  reader->start_boot_ns_ = now_boot_ns;
  reader->next_ = first_ + lines_.size();
  reader->pending_ = dump(start) + '\n';
  reader->wake_ = std::move(wake);
  reader->place_ = readers_.insert(readers_.end(), reader.get());
  return reader;
}

void EventHub::close(Reader& reader) {
  std::lock_guard lock(mutex_);
  readers_.erase(reader.place_);
  if (readers_.empty()) {
    first_ += lines_.size();
    lines_.clear();
  }
}

size_t EventHub::reader_count() const {
  std::lock_guard lock(mutex_);
  return readers_.size();
}

void EventHub::append(Line line) {
  std::lock_guard lock(mutex_);
  if (lines_.size() >= kMaxLines) {
    lines_.pop_front();
    ++first_;
  }
  lines_.push_back(std::move(line));
}

void EventHub::push(const Event& event, const std::string& old_name, const WallClock& wall) {
  if (reader_count() == 0) return;
  append({event.task.tgid, event.type == LOITER_EVENT_BIRTH ? event.creator.tgid : event.task.tgid,
          event.boot_ns, event.type == LOITER_EVENT_PTHREAD ? Line::Only::pthreads : Line::Only::everybody,
          dump(event_json(event, old_name, wall)) + '\n'});
}

void EventHub::push_probes(const ProbeNote& note, const WallClock& wall) {
  Json json = head("probes", note.boot_ns, wall);
  json["pid"] = note.pid;
  json["placed"] = note.placed;
  json["failed"] = Json::array();
  for (const UprobeStatus::Failure& failure : note.failed) json["failed"].push_back(failure_json(failure));
  append({note.pid, note.pid, note.boot_ns, Line::Only::pthreads, dump(json) + '\n'});
  flush();
}

std::string EventHub::finding_line(const char* change, const KeptFinding& kept, const Snapshot& snapshot) {
  Json json =
      head("finding", kept.resolved_boot_ns ? kept.resolved_boot_ns : kept.last_boot_ns, snapshot.wall);
  json["change"] = change;
  json["pid"] = kept.finding.process.key.tid;
  json["finding"] = finding_json(snapshot, kept);
  return dump(json) + '\n';
}

void EventHub::push_finding(const char* change, const KeptFinding& kept, const Snapshot& snapshot) {
  if (reader_count() == 0) return;
  const uint32_t pid = kept.finding.process.key.tid;
  // As of now: it was judged after the census whose time it bears.
  append({pid, pid, boottime_now_ns(), Line::Only::findings, finding_line(change, kept, snapshot)});
}

void EventHub::push_lost(uint64_t count, const std::string& cause, const WallClock& wall) {
  if (reader_count() == 0) return;
  uint64_t now = boottime_now_ns();
  Json json = head("lost", now, wall);
  json["count"] = count;
  json["cause"] = cause;
  append({0, 0, now, Line::Only::everybody, dump(json) + '\n'});
}

void EventHub::flush() {
  std::lock_guard lock(mutex_);
  for (Reader* reader : readers_)
    if (reader->next_ < first_ + lines_.size()) reader->wake_();
}

// The next line for this reader, under the lock; false: there is none yet.
bool EventHub::next_line(Reader& reader, std::string& text) {
  if (reader.next_ < first_) {
    Json json = head("lost", boottime_now_ns(), WallClock::now());
    json["count"] = first_ - reader.next_;
    json["cause"] = "slow_reader";
    reader.next_ = first_;
    text = dump(json) + '\n';
    return true;
  }
  const StreamWish& wish = reader.wish_;
  while (reader.next_ < first_ + lines_.size()) {
    const Line& line = lines_[reader.next_++ - first_];
    bool concerns =
        !wish.pid || line.creator_pid == 0 || line.pid == *wish.pid || line.creator_pid == *wish.pid;
    if (line.only == Line::Only::pthreads && !wish.pthreads) continue;
    if (line.only == Line::Only::findings && !wish.findings) continue;
    // What came out of the ring after the stream began may have happened before.
    if (!concerns || line.boot_ns < reader.start_boot_ns_) continue;
    text = line.text;
    return true;
  }
  return false;
}

bool EventHub::Reader::ready() const {
  std::lock_guard lock(hub_->mutex_);
  return next_ < hub_->first_ + hub_->lines_.size();
}

void EventHub::Reader::add_line(const std::string& line) {
  std::lock_guard lock(hub_->mutex_);
  pending_ += line;
}

size_t EventHub::Reader::take(char* to, size_t size) {
  std::lock_guard lock(hub_->mutex_);
  size_t taken = 0;
  while (taken < size) {
    if (pending_.empty() && !hub_->next_line(*this, pending_)) break;
    size_t part = std::min(size - taken, pending_.size());
    pending_.copy(to + taken, part);
    pending_.erase(0, part);
    taken += part;
  }
  return taken;
}

}  // namespace loiter
