#include "daemon/sensors/event_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

#include "lifecycle.skel.h"

namespace loiter {
namespace {

std::string name_of(const char (&comm)[LOITER_COMM_LEN]) {
  return {comm, strnlen(comm, LOITER_COMM_LEN)};
}

// A copy, since the ring promises 8 bytes of alignment only, and the record may be cut.
template <typename Record>
bool take(const void* data, size_t size, Record& record, size_t least = sizeof(Record)) {
  if (size < least) return false;
  std::memcpy(&record, data, size < sizeof(Record) ? size : sizeof(Record));
  return true;
}

bool decode_birth(const void* data, size_t size, Event& event) {
  loiter_birth record{};
  if (!take(data, size, record)) return false;
  event.creator = record.creator;
  event.clone_flags = record.clone_flags;
  event.parent_tgid = record.parent_tgid;
  event.task_flags = record.task_flags;
  event.tls_base = record.tls_base;
  if (record.slice_state >= LOITER_SLICE_STATE_COUNT || record.slice >= LOITER_SLICES) return false;
  event.slice_state = static_cast<loiter_slice_state>(record.slice_state);
  event.slice = record.slice;
  event.name = name_of(record.comm);
  return true;
}

bool decode_exec(const void* data, size_t size, Event& event) {
  loiter_exec record{};
  constexpr size_t kFixed = offsetof(loiter_exec, filename);
  if (!take(data, size, record, kFixed) || record.filename_len >= LOITER_FILENAME_LEN ||
      kFixed + record.filename_len > size)
    return false;
  event.old_tid = record.old_tid;
  event.name = name_of(record.comm);
  event.filename.assign(record.filename, record.filename_len);
  return true;
}

bool decode_exit(const void* data, size_t size, Event& event) {
  loiter_exit record{};
  if (!take(data, size, record)) return false;
  event.cpu_ns = record.cpu_ns;
  event.exit_code = record.exit_code;
  return true;
}

bool decode_rename(const void* data, size_t size, Event& event) {
  loiter_rename record{};
  if (!take(data, size, record)) return false;
  event.name = name_of(record.comm);
  return true;
}

bool decode_pthread(const void* data, size_t size, Event& event) {
  loiter_pthread record{};
  if (!take(data, size, record) || record.call >= LOITER_PTHREAD_CALL_COUNT ||
      record.detached > LOITER_DETACHED_UNKNOWN)
    return false;
  event.call = static_cast<loiter_pthread_call>(record.call);
  event.tls_base = record.tls_base;
  event.thread = record.thread;
  event.routine = record.routine;
  event.arg = record.arg;
  event.detached = static_cast<loiter_detached>(record.detached);
  return true;
}

uint64_t recursion_misses(int prog_fd) {
  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  return bpf_obj_get_info_by_fd(prog_fd, &info, &length) ? 0 : info.recursion_misses;
}

}  // namespace

bool decode_event(const void* data, size_t size, Event& event) {
  loiter_event head{};
  if (!take(data, size, head)) return false;
  event.type = static_cast<loiter_event_type>(head.type);
  event.boot_ns = head.boot_ns;
  event.task = head.task;
  switch (head.type) {
    case LOITER_EVENT_BIRTH:
      return decode_birth(data, size, event);
    case LOITER_EVENT_EXEC:
      return decode_exec(data, size, event);
    case LOITER_EVENT_EXIT:
      return decode_exit(data, size, event);
    case LOITER_EVENT_RENAME:
      return decode_rename(data, size, event);
    case LOITER_EVENT_PTHREAD:
      return decode_pthread(data, size, event);
    default:
      return false;
  }
}

void EventReader::Destroy::operator()(lifecycle_bpf* skeleton) const {
  lifecycle_bpf::destroy(skeleton);
}

EventReader::~EventReader() = default;

Status EventReader::attach(EventReader& reader, const Options& options, Variant variant) {
  reader.slices_.reset();
  reader.skeleton_.reset(lifecycle_bpf::open(nullptr));
  lifecycle_bpf* skeleton = reader.skeleton_.get();
  if (!skeleton) return bpf_error("cannot open the event programs", errno);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) bpf_program__set_autoload(
      program, (bpf_program__type(program) == BPF_PROG_TYPE_TRACING) == variant.btf);
  skeleton->rodata->with_kernel_threads = options.kernel_threads;
  skeleton->rodata->with_slices = variant.slices;
  bpf_map__set_max_entries(skeleton->maps.events, options.ring_size);
  if (int error = lifecycle_bpf::load(skeleton))
    return bpf_error("the kernel refused the event programs", -error);
  if (variant.slices) {  // before the first birth looks for a slot
    auto slices = Slices::open(bpf_map__fd(skeleton->maps.slices), bpf_map__fd(skeleton->maps.free_slices),
                               &skeleton->bss->slices_in_use);
    if (!slices) return slices.error();
    reader.slices_ = std::move(*slices);
  }
  if (int error = lifecycle_bpf::attach(skeleton))
    return bpf_error("cannot attach the event programs", -error);
  reader.uses_btf_ = variant.btf;
  return ok();
}

Result<std::unique_ptr<EventReader>> EventReader::open(const Options& options) {
  std::unique_ptr<EventReader> reader(new EventReader);
  Status attached = Error{Error::Kind::internal, "no way to hook the events"};
  for (Variant variant : {Variant{true, true}, {true, false}, {false, true}, {false, false}}) {
    const Tracepoints needs = variant.btf ? Tracepoints::btf : Tracepoints::raw;
    if (options.tracepoints != Tracepoints::automatic && options.tracepoints != needs) continue;
    attached = attach(*reader, options, variant);
    if (attached) break;
  }
  if (!attached) return attached.error();
  auto ring = EventRing::open(bpf_map__fd(reader->skeleton_->maps.events));
  if (!ring) return ring.error();
  reader->ring_ = std::move(*ring);
  return reader;
}

void EventReader::drain(std::vector<Event>& events) {
  ring_->drain(events);
}

std::vector<LossCount> EventReader::losses() const {
  std::vector<LossCount> losses = read_losses(bpf_map__fd(skeleton_->maps.losses));
  uint64_t missed = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton_->obj) {
    if (bpf_program__fd(program) >= 0) missed += recursion_misses(bpf_program__fd(program));
  }
  losses.push_back({"program_missed", "events dropped: the program was already running on that CPU", missed});
  losses.push_back(ring_->unreadable());
  return losses;
}

std::vector<BpfMapSize> EventReader::maps() const {
  std::vector<BpfMapSize> sizes = map_sizes(skeleton_->obj);
  if (slices_) sizes.push_back({"slice_groups", slices_->bytes()});
  return sizes;
}

}  // namespace loiter
