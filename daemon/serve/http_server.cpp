#include "daemon/serve/http_server.h"

#include <malloc.h>
#include <microhttpd.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <unordered_set>

#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr unsigned kMaxConnections = 256;
constexpr unsigned kIdleSeconds = 30;                   // of a connection that neither asks nor reads
constexpr uint64_t kMaxWaitNs = 10'000'000'000;         // for a census that succeeds
constexpr uint64_t kMaxVerdictWaitNs = 30'000'000'000;  // for a verdict, which may look into many processes
constexpr uint64_t kMaxHistoryWaitNs = 10'000'000'000;  // for the history, whose disk may hang
constexpr size_t kHeaderBytes = 32 * 1024;
constexpr size_t kStreamBlock = 32 * 1024;
constexpr size_t kLargeBody = 1024 * 1024;

}  // namespace

// One request. Made when its head has come, deleted by the library's completion callback.
struct Exchange {
  HttpServer::Impl* server = nullptr;
  MHD_Connection* connection = nullptr;
  Request request;
  uint64_t arrived_mono_ns = 0;
  bool suspended = false;  // guarded by the server's mutex
  bool gone = false;       // the listener of a stream has hung up; likewise
  bool is_stream = false;
  std::unique_ptr<EventHub::Reader> reader;
  std::shared_ptr<void> attached;  // of a stream that tells a process' calls
  bool inspecting = false;         // guarded by the server's mutex
  InspectAnswerPtr inspection;     // likewise
  uint64_t history_ticket = 0;     // likewise; of a question that is under way; 0: none
  HistoryAnswerPtr history;        // likewise
};

struct HttpServer::Impl {
  explicit Impl(Parts p) : parts(std::move(p)) {}

  Parts parts;
  MHD_Daemon* daemon = nullptr;
  std::atomic<unsigned> handed_over = 0;  // connections by add_connection that are open
  std::mutex mutex;
  std::unordered_set<Exchange*> exchanges;  // all that are under way
  bool stopping = false;
  uint64_t last_ticket = 0;

  MHD_Result handle(Exchange& exchange);
  MHD_Result start_stream(Exchange& exchange);
  bool lacks_census(const Exchange& exchange) const;
  bool lacks_verdict(const Exchange& exchange) const;
  bool waits_in_vain(const Exchange& exchange) const;
  bool must_wait(const Exchange& exchange) const;
  void suspend(Exchange& exchange);  // mutex held
  void resume(Exchange& exchange);   // mutex held
  ssize_t read_stream(Exchange& exchange, char* to, size_t size);
  void finish(Exchange* exchange);
  bool start_inspection(Exchange& exchange);
  void on_inspected(Exchange* exchange, InspectAnswerPtr answer);
  bool ask_history(Exchange& exchange);
  void on_history(uint64_t ticket, HistoryAnswerPtr answer);
  void give_up_history(Exchange& exchange);  // mutex held
};

namespace {

// A large document leaves a hole in the heap that the allocator would keep: with 20,000 threads, 7 MB of
// text.
void free_body(void* body) {
  auto* text = static_cast<std::string*>(body);
  bool large = text->size() > kLargeBody;
  delete text;
  if (large) malloc_trim(0);
}

MHD_Result reply(MHD_Connection* connection, Answer answer) {
  auto* body = new std::string(std::move(answer.body));
  MHD_Response* response =
      MHD_create_response_from_buffer_with_free_callback_cls(body->size(), body->data(), free_body, body);
  if (!response) {
    delete body;
    return MHD_NO;
  }
  MHD_add_response_header(response, "Content-Type", "application/json");
  MHD_add_response_header(response, "Cache-Control", "no-store");
  if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, "Allow", "GET");
  MHD_Result result = MHD_queue_response(connection, answer.status, response);
  MHD_destroy_response(response);
  return result;
}

MHD_Result add_argument(void* request, MHD_ValueKind, const char* key, const char* value) {
  static_cast<Request*>(request)->query[key] = value ? value : "";
  return MHD_YES;
}

// Not so where it has only said that it will send no more.
bool peer_hung_up(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (!info) return false;
  pollfd state{info->connect_fd, 0, 0};
  return poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR));
}

MHD_Result on_request(void* server, MHD_Connection* connection, const char* url, const char* method,
                      const char*, const char*, size_t* upload_size, void** state) {
  auto* impl = static_cast<HttpServer::Impl*>(server);
  auto* exchange = static_cast<Exchange*>(*state);
  if (exchange) {
    if (*upload_size != 0) {  // a body that nobody asked for
      *upload_size = 0;
      return MHD_YES;
    }
    return impl->handle(*exchange);
  }
  exchange = new Exchange;
  exchange->server = impl;
  exchange->connection = connection;
  exchange->request.path = url;
  exchange->arrived_mono_ns = monotonic_now_ns();
  *state = exchange;
  {
    std::lock_guard lock(impl->mutex);
    impl->exchanges.insert(exchange);
  }
  if (std::strcmp(method, MHD_HTTP_METHOD_GET) != 0)
    return reply(connection,
                 Api::error(MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", "only GET is served"));
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_argument, &exchange->request);
  return MHD_YES;
}

void on_completed(void* server, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
  static_cast<HttpServer::Impl*>(server)->finish(static_cast<Exchange*>(*state));
  *state = nullptr;
}

void on_connection(void* server, MHD_Connection*, void**, MHD_ConnectionNotificationCode code) {
  if (code == MHD_CONNECTION_NOTIFY_CLOSED) --static_cast<HttpServer::Impl*>(server)->handed_over;
}

void log_library(void*, const char* format, va_list args) {
  std::array<char, 512> line;
  vsnprintf(line.data(), line.size(), format, args);
  std::string_view text(line.data());
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  spdlog::debug("http: {}", escape_for_terminal(text));
}

}  // namespace

// --- one request -----------------------------------------------------------------------------------

bool HttpServer::Impl::lacks_census(const Exchange& exchange) const {
  std::shared_ptr<const Picture> picture = parts.board.latest();
  if (!picture) return true;
  return Api::wants_fresh(exchange.request) && picture->snapshot->begin_mono_ns < exchange.arrived_mono_ns;
}

bool HttpServer::Impl::lacks_verdict(const Exchange& exchange) const {
  if (!parts.verdicts || exchange.is_stream || !Api::wants_verdicts(exchange.request)) return false;
  const VerdictsPtr verdicts = parts.verdicts->latest();
  if (!verdicts) return true;
  return Api::wants_fresh(exchange.request) && verdicts->snapshot->begin_mono_ns < exchange.arrived_mono_ns;
}

// Censuses have failed, or looks gone on, for so long that whoever waits should hear of it.
bool HttpServer::Impl::waits_in_vain(const Exchange& exchange) const {
  const uint64_t waited = monotonic_now_ns() - exchange.arrived_mono_ns;
  return (lacks_census(exchange) && waited > kMaxWaitNs) ||
         (lacks_verdict(exchange) && waited > kMaxVerdictWaitNs);
}

bool HttpServer::Impl::must_wait(const Exchange& exchange) const {
  return (lacks_census(exchange) || lacks_verdict(exchange)) && !waits_in_vain(exchange);
}

void HttpServer::Impl::suspend(Exchange& exchange) {
  if (exchange.suspended || stopping) return;
  exchange.suspended = true;
  MHD_suspend_connection(exchange.connection);
}

void HttpServer::Impl::resume(Exchange& exchange) {
  if (!exchange.suspended) return;
  exchange.suspended = false;
  MHD_resume_connection(exchange.connection);
}

// Called again by the library each time the connection is resumed, until there is an answer.
MHD_Result HttpServer::Impl::handle(Exchange& exchange) {
  if (Api::is_stream(exchange.request)) return start_stream(exchange);
  {
    // Who is judged already stays so, and is marked as of the newest verdict.
    if (parts.verdicts && Api::wants_marks(exchange.request) && !parts.verdicts->latest())
      parts.request_verdict(0);
    // The lock is held from the question to the suspension: a picture published in between would be missed.
    std::lock_guard lock(mutex);
    if (!stopping && must_wait(exchange)) {
      suspend(exchange);
      if (lacks_verdict(exchange)) parts.request_verdict(exchange.arrived_mono_ns);
      if (lacks_census(exchange)) parts.request_census();
      return MHD_YES;
    }
    if (waits_in_vain(exchange))
      return reply(
          exchange.connection,
          Api::error(503, "not_ready",
                     lacks_census(exchange)
                         ? "no census has succeeded meanwhile: see the log of loiterd"
                         : "looking into processes takes long here: ask again, or see the log of loiterd"));
  }
  if (start_inspection(exchange) || ask_history(exchange)) return MHD_YES;
  return reply(exchange.connection, parts.api.answer(exchange.request, parts.hub.reader_count(),
                                                     exchange.inspection.get(), exchange.history.get()));
}

// True where the connection waits for the inspector, whose answer resumes it. A suspended connection's
// exchange is not deleted, so the pointer stays good until then; the inspector is stopped before the server.
bool HttpServer::Impl::start_inspection(Exchange& exchange) {
  if (!parts.inspect) return false;
  std::lock_guard lock(mutex);
  if (stopping || exchange.inspection) return false;
  if (exchange.inspecting) {  // resumed by something else
    suspend(exchange);
    return true;
  }
  std::optional<InspectRequest> wanted = parts.api.wanted_inspection(exchange.request);
  if (!wanted) return false;
  wanted->asked_mono_ns = exchange.arrived_mono_ns;
  exchange.inspecting = true;
  suspend(exchange);
  parts.inspect(*wanted,
                [this, &exchange](InspectAnswerPtr answer) { on_inspected(&exchange, std::move(answer)); });
  return true;
}

void HttpServer::Impl::on_inspected(Exchange* exchange, InspectAnswerPtr answer) {
  std::lock_guard lock(mutex);
  if (!exchanges.contains(exchange)) return;
  exchange->inspecting = false;
  exchange->inspection = std::move(answer);
  resume(*exchange);
}

// True where the connection waits for the history, whose answer resumes it, or its absence for too long.
bool HttpServer::Impl::ask_history(Exchange& exchange) {
  if (!parts.history) return false;
  std::optional<HistoryQuery> wanted;
  uint64_t ticket = 0;
  {
    std::lock_guard lock(mutex);
    if (stopping || exchange.history) return false;
    if (!exchange.history_ticket) {
      wanted = parts.api.wanted_history(exchange.request);
      if (!wanted) return false;
      ticket = exchange.history_ticket = ++last_ticket;
    }
    suspend(exchange);
  }
  // It may call back at once.
  if (wanted)
    parts.history(*wanted,
                  [this, ticket](HistoryAnswerPtr answer) { on_history(ticket, std::move(answer)); });
  return true;
}

void HttpServer::Impl::on_history(uint64_t ticket, HistoryAnswerPtr answer) {
  std::lock_guard lock(mutex);
  for (Exchange* exchange : exchanges) {
    if (exchange->history_ticket != ticket) continue;
    exchange->history_ticket = 0;
    exchange->history = std::move(answer);
    resume(*exchange);
    return;
  }
}

void HttpServer::Impl::give_up_history(Exchange& exchange) {
  if (monotonic_now_ns() - exchange.arrived_mono_ns < kMaxHistoryWaitNs) return;
  auto answer = std::make_shared<HistoryAnswer>();
  answer->failure = "the history does not answer: its disk may hang";
  exchange.history_ticket = 0;
  exchange.history = std::move(answer);
  resume(exchange);
}

MHD_Result HttpServer::Impl::start_stream(Exchange& exchange) {
  Result<StreamWish> wish = Api::stream_wish(exchange.request);
  if (!wish) return reply(exchange.connection, Api::error(400, "bad_request", wish.error().message));
  if (wish->findings && parts.request_verdict) parts.request_verdict(exchange.arrived_mono_ns);
  // The hub calls this under its own lock, and the server's lock is never held when the hub is called.
  exchange.reader = parts.hub.open(*wish, boottime_now_ns(), [this, &exchange] {
    std::lock_guard lock(mutex);
    resume(exchange);
  });
  if (!exchange.reader)
    return reply(exchange.connection, Api::error(503, "busy", "too many event streams are open"));
  if (const VerdictsPtr verdicts = wish->findings && parts.verdicts ? parts.verdicts->latest() : nullptr)
    for (const KeptFindingPtr& kept : verdicts->live)
      if (!wish->pid || kept->finding.process.key.tid == *wish->pid)
        exchange.reader->add_line(EventHub::finding_line("current", *kept, *verdicts->snapshot));
  if (wish->pthreads && wish->pid) {
    auto attached = parts.attach ? parts.attach(*wish->pid)
                                 : Error{Error::Kind::unavailable, "there are no uprobes here"};
    if (!attached) {
      parts.hub.close(*std::exchange(exchange.reader, nullptr));
      return reply(exchange.connection, Api::error(503, "no_uprobes", attached.error().message));
    }
    exchange.attached = std::move(*attached);
  }
  exchange.is_stream = true;
  // A listener may rest for as long as it likes: it is told then what it has missed.
  MHD_set_connection_option(exchange.connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
  MHD_Response* response = MHD_create_response_from_callback(
      MHD_SIZE_UNKNOWN, kStreamBlock,
      [](void* cls, uint64_t, char* to, size_t size) {
        auto* stream = static_cast<Exchange*>(cls);
        return stream->server->read_stream(*stream, to, size);
      },
      &exchange, nullptr);
  if (!response) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", "application/x-ndjson");
  MHD_add_response_header(response, "Cache-Control", "no-store");
  MHD_Result result = MHD_queue_response(exchange.connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return result;
}

ssize_t HttpServer::Impl::read_stream(Exchange& exchange, char* to, size_t size) {
  {
    std::lock_guard lock(mutex);
    if (stopping || exchange.gone) return MHD_CONTENT_READER_END_OF_STREAM;
  }
  if (size_t taken = exchange.reader->take(to, size)) return static_cast<ssize_t>(taken);
  {
    std::lock_guard lock(mutex);
    suspend(exchange);
  }
  if (exchange.reader->ready()) {  // it came between the look and the suspension
    std::lock_guard lock(mutex);
    resume(exchange);
  }
  return 0;
}

void HttpServer::Impl::finish(Exchange* exchange) {
  if (!exchange) return;
  if (exchange->reader) parts.hub.close(*exchange->reader);
  {
    std::lock_guard lock(mutex);
    exchanges.erase(exchange);
  }
  delete exchange;
}

// --- the server ------------------------------------------------------------------------------------

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(Parts parts, Fd listen) {
  auto impl = std::make_unique<Impl>(std::move(parts));
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
                   MHD_USE_ERROR_LOG;
  if (!listen) flags |= MHD_USE_NO_LISTEN_SOCKET;
  std::vector<MHD_OptionItem> options{
      {MHD_OPTION_EXTERNAL_LOGGER, reinterpret_cast<intptr_t>(&log_library), nullptr},
      {MHD_OPTION_NOTIFY_COMPLETED, reinterpret_cast<intptr_t>(&on_completed), impl.get()},
      {MHD_OPTION_CONNECTION_LIMIT, kMaxConnections, nullptr},
      {MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds, nullptr},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<intptr_t>(kHeaderBytes), nullptr}};
  if (listen)
    options.push_back({MHD_OPTION_LISTEN_SOCKET, listen.get(), nullptr});
  else
    options.push_back({MHD_OPTION_NOTIFY_CONNECTION, reinterpret_cast<intptr_t>(&on_connection), impl.get()});
  options.push_back({MHD_OPTION_END, 0, nullptr});
  impl->daemon = MHD_start_daemon(flags, 0, nullptr, nullptr, on_request, impl.get(), MHD_OPTION_ARRAY,
                                  options.data(), MHD_OPTION_END);
  if (!impl->daemon)
    return Error{Error::Kind::internal, std::string("cannot start the HTTP server: ") + std::strerror(errno)};
  listen.release();  // the library closes it
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::~HttpServer() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    for (Exchange* exchange : impl_->exchanges)
      impl_->resume(*exchange);  // the library asks for that before a stop
  }
  MHD_stop_daemon(impl_->daemon);
}

// Counted here: libmicrohttpd 0.9.75 locks itself up where connections handed to it exceed its limit before
// its thread has seen them.
void HttpServer::add_connection(Fd connection) {
  if (++impl_->handed_over > kMaxConnections) {
    --impl_->handed_over;
    spdlog::warn("a connection was refused: {} are open already", kMaxConnections);
    return;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The library owns the descriptor from here on, also when it refuses it.
  if (MHD_add_connection(impl_->daemon, connection.release(), reinterpret_cast<sockaddr*>(&address),
                         sizeof(address.sun_family)) == MHD_YES)
    return;
  --impl_->handed_over;
  spdlog::warn("a connection was refused: {}", std::strerror(errno));
}

void HttpServer::notify_published() {
  std::lock_guard lock(impl_->mutex);
  for (Exchange* exchange : impl_->exchanges) {
    if (!exchange->suspended) continue;
    if (exchange->is_stream) exchange->gone = peer_hung_up(exchange->connection);
    if (exchange->inspecting) continue;
    if (exchange->history_ticket) {
      impl_->give_up_history(*exchange);
      continue;
    }
    if (exchange->is_stream ? exchange->gone : !impl_->must_wait(*exchange)) impl_->resume(*exchange);
  }
}

}  // namespace loiter
