#include "daemon/sensors/event_ring.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <utility>

#include "daemon/sensors/event_reader.h"

namespace loiter {

void EventRing::Free::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

EventRing::~EventRing() = default;

Result<std::unique_ptr<EventRing>> EventRing::open(int map_fd) {
  std::unique_ptr<EventRing> ring(new EventRing);
  ring->ring_.reset(ring_buffer__new(map_fd, on_record, ring.get(), nullptr));
  if (!ring->ring_) return bpf_error("cannot map the ring buffer", errno);
  return ring;
}

int EventRing::on_record(void* context, void* data, size_t size) {
  auto* ring = static_cast<EventRing*>(context);
  Event event;
  if (!decode_event(data, size, event)) {
    ++ring->unreadable_;
    return 0;
  }
  ring->sink_->push_back(std::move(event));
  return 0;
}

void EventRing::drain(std::vector<Event>& events) {
  sink_ = &events;
  ring_buffer__consume(ring_.get());
  sink_ = nullptr;
}

LossCount EventRing::unreadable() const {
  return {"unreadable", "records of the ring buffer that could not be understood", unreadable_};
}

}  // namespace loiter
