// The routes of the API: from a request to a document. Knows no HTTP library and no socket.
//
// Called by the server's thread; what it shares with others is the board, the hub and /proc.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "daemon/base/result.h"
#include "daemon/history/types.h"
#include "daemon/inspect/inspector.h"
#include "daemon/sensors/procfs.h"
#include "daemon/serve/documents.h"
#include "daemon/serve/event_hub.h"
#include "daemon/serve/picture.h"

namespace loiter {

struct Request {
  std::string path;
  std::map<std::string, std::string> query;
};

struct Answer {
  unsigned status = 200;
  std::string body;  // JSON
};

class Api {
 public:
  // `measure_hit`: what a uprobe's hit costs; takes some 20 ms. Empty: not known.
  // `verdicts`: null: nobody judges. `history`: how it is; empty: there is none.
  Api(const Board& board, Procfs procfs, std::function<Result<UprobeCost>()> measure_hit = {},
      const VerdictBoard* verdicts = nullptr, std::function<HistoryStatus()> history = {})
      : board_(board),
        procfs_(std::move(procfs)),
        measure_hit_(std::move(measure_hit)),
        verdicts_(verdicts),
        history_(std::move(history)) {}

  // True where the path is that of the event stream, which has no document.
  static bool is_stream(const Request& request) { return request.path == "/v1/events"; }
  // True where the caller asks for a census that begins after the request.
  static bool wants_fresh(const Request& request);

  // True where it answers from a verdict, which somebody has to have come to.
  static bool wants_verdicts(const Request& request);

  // True where its rows are marked with findings, and whoever asks would have them, though not wait for them.
  static bool wants_marks(const Request& request);

  // What has to be looked at inside a process before this request can be answered; nullopt: nothing.
  std::optional<InspectRequest> wanted_inspection(const Request& request) const;

  // What has to be asked of the history before; nullopt: nothing.
  std::optional<HistoryQuery> wanted_history(const Request& request) const;

  // The document for anything but the stream. `event_streams`: how many are open. `inspection`: what came of
  // wanted_inspection(); null: nobody looked, waits are not told then. `history`: likewise of
  // wanted_history().
  Answer answer(const Request& request, size_t event_streams, const InspectAnswer* inspection = nullptr,
                const HistoryAnswer* history = nullptr) const;

  // What the stream's listener wants, or why it cannot be.
  static Result<StreamWish> stream_wish(const Request& request);

  static Answer error(unsigned status, const char* code, const std::string& message);

 private:
  Answer process(const Picture& picture, const Request& request, uint64_t threshold_ns,
                 const InspectAnswer* inspection, const FindingMarks* marks) const;
  std::string status(const Picture& picture, const Request& request, size_t event_streams) const;
  Answer findings(const Request& request, const HistoryAnswer* history) const;
  Answer history(const Picture& picture, const Request& request, const HistoryAnswer* answer) const;
  Answer scan(const Picture& picture, const Request& request, uint64_t threshold_ns) const;
  Answer no_process(const Snapshot& snapshot, uint32_t pid) const;

  const Board& board_;
  Procfs procfs_;
  std::function<Result<UprobeCost>()> measure_hit_;
  const VerdictBoard* verdicts_;
  std::function<HistoryStatus()> history_;
};

}  // namespace loiter
