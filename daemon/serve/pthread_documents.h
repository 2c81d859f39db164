// What uprobes on thread libraries tell: which are in place, and what became of the threads whose making was
// seen.
//
// Pure functions, any thread.
#pragma once

#include <string>

#include "daemon/model/pthread_book.h"
#include "daemon/sensors/pthread_probes.h"
#include "daemon/serve/document_writer.h"
#include "daemon/serve/picture.h"

namespace loiter {

// Why a probe could not be placed: its library, function and reason.
Json failure_json(const UprobeStatus::Failure& failure);

// The `uprobes` of the status. `cost`: what a hit costs; null: it was not measured.
Json uprobes_json(const UprobeStatus& uprobes, const Result<UprobeCost>* cost);

// How many threads became what, `probes` of several documents; null where the calls of this process are not
// seen.
Json probes_json(const Snapshot& snapshot, const PthreadsView* view);

// /v1/processes/PID/pthreads
std::string pthreads_document(const Picture& picture, const ProcessView& process);

}  // namespace loiter
