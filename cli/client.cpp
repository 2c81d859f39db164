#include "cli/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/http.h"
#include "cli/private_daemon.h"
#include "daemon/base/fd.h"

namespace loiter {
namespace {

using cli::Http;
using cli::HttpAnswer;
using cli::PrivateDaemon;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kSchema = 1;
constexpr milliseconds kNotReady{30'000};  // how long a daemon may be without its first census
constexpr size_t kMaxLine = size_t{1} << 20;

Error unavailable(const std::string& message) {
  return {Error::Kind::unavailable, message};
}

// --- the socket of a running daemon ----------------------------------------------------------------

struct Refusal {
  int error = 0;  // errno
};

std::variant<Fd, Refusal> connect_to(const std::string& path, milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Refusal{ENAMETOOLONG};
  path.copy(address.sun_path, path.size());
  Fd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket_fd) return Refusal{errno};
  // connect() waits where the backlog is full, and for a Unix socket no longer than this.
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timeval limit{seconds.count(), (timeout - seconds).count() * 1000};
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (connect(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address))) return Refusal{errno};
  return socket_fd;
}

Error explain(const Refusal& refusal, const std::string& path) {
  switch (refusal.error) {
    case ENOENT:
      return unavailable("no daemon at " + path + ": no such socket");
    case ECONNREFUSED:
      return unavailable("no daemon at " + path + ": nobody listens there");
    case EACCES:
    case EPERM:
      return unavailable("the daemon's socket " + path + " refuses you: join the group loiter or use sudo");
    case EAGAIN:
      return unavailable("the daemon at " + path + " takes no connection: it is busy or hangs");
    default:
      return unavailable("cannot connect to " + path + ": " + strerror(refusal.error));
  }
}

// --- answers ---------------------------------------------------------------------------------------

struct Answer {
  json document;
  bool not_ready = false;
};

// The document, or what the daemon has against giving it.
Result<Answer> understand(const HttpAnswer& answer, const std::string& where) {
  json document = json::parse(answer.body, nullptr, false);
  if (!document.is_object() || !document.contains("schema"))
    return unavailable("what answers" + where + " is no loiterd: no document of its with HTTP status " +
                       std::to_string(answer.status));
  if (document["schema"] != kSchema)
    return unavailable(
        "the daemon speaks schema " + document["schema"].dump(-1, ' ', true, json::error_handler_t::replace) +
        ", this loiter schema " + std::to_string(kSchema) + ": install both of the same version");
  if (answer.status == 200) return Answer{std::move(document), false};
  std::string code, message = "the daemon answers with HTTP status " + std::to_string(answer.status);
  if (auto error = document.find("error"); error != document.end() && error->is_object()) {
    if (error->value("code", json()).is_string()) code = (*error)["code"];
    if (error->value("message", json()).is_string()) message = (*error)["message"];
  }
  if (code == "not_ready") return Answer{std::move(document), true};
  return Error{answer.status == 400 ? Error::Kind::usage : Error::Kind::unavailable, message};
}

// Cuts a stream of bytes into lines; false once the reader wants no more.
class LineCutter {
 public:
  explicit LineCutter(const std::function<bool(std::string_view)>& on_line) : on_line_(on_line) {}

  bool take(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t newline = bytes.find('\n');
      partial_ += bytes.substr(0, newline);
      if (newline == bytes.npos) break;
      bytes.remove_prefix(newline + 1);
      if (!partial_.empty() && !on_line_(partial_)) return false;
      partial_.clear();
    }
    return partial_.size() <= kMaxLine;
  }

 private:
  const std::function<bool(std::string_view)>& on_line_;
  std::string partial_;
};

// --- the client ------------------------------------------------------------------------------------

class HttpClient : public Client {
 public:
  HttpClient(Http::Dial dial, std::string where, std::unique_ptr<PrivateDaemon> daemon)
      : daemon_(std::move(daemon)), where_(std::move(where)), http_(std::move(dial)) {
    if (daemon_) http_.watch(daemon_->log_fd(), [this] { return daemon_->read_log(); });
  }

  Result<json> get(const std::string& target) override { return get(target, milliseconds(0)); }

  Result<json> get(const std::string& target, milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + kNotReady;
    while (true) {
      Result<HttpAnswer> answer = http_.get({.target = target, .timeout = timeout});
      if (!answer) return explain(answer.error());
      Result<Answer> understood = understand(*answer, where_);
      if (!understood) return understood.error();
      if (!understood->not_ready) return std::move(understood->document);
      if (http_.cancelled() || std::chrono::steady_clock::now() > deadline)
        return unavailable("the daemon" + where_ + " has not taken a census yet: try again");
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

  Status stream(const std::string& target, const std::function<bool(std::string_view)>& on_line) override {
    LineCutter lines(on_line);
    bool enough = false;
    Result<HttpAnswer> answer = http_.get({.target = target, .on_body = [&](std::string_view bytes) {
                                             enough = !lines.take(bytes);
                                             return !enough;
                                           }});
    if (enough || http_.cancelled()) return ok();
    if (!answer) return explain(answer.error());
    if (answer->status == 200) return explain(unavailable("the stream ended"));
    Result<Answer> understood = understand(*answer, where_);
    if (!understood) return understood.error();
    return unavailable("the daemon" + where_ + " has not taken a census yet: try again");
  }

  void cancel() override { http_.cancel(); }
  bool is_private() const override { return daemon_ != nullptr; }

 private:
  // A private daemon's end says more than the connection that broke with it.
  Error explain(const Error& error) {
    if (http_.cancelled()) return error;
    if (daemon_)
      if (std::optional<Error> why = daemon_->why_ended()) return *why;
    return {error.kind, "the daemon" + where_ + " does not answer: " + error.message};
  }

  std::unique_ptr<PrivateDaemon> daemon_;
  std::string where_;  // " at PATH"
  Http http_;
};

Result<std::unique_ptr<Client>> connect_to_running(const std::string& path, milliseconds first_answer) {
  auto dial = [path, first_answer]() -> Result<Fd> {
    auto connected = connect_to(path, first_answer);
    if (Fd* fd = std::get_if<Fd>(&connected)) return std::move(*fd);
    return explain(std::get<Refusal>(connected), path);
  };
  auto client = std::make_unique<HttpClient>(dial, " at " + path, nullptr);
  Result<json> status = client->get("/v1/status", first_answer);
  if (!status) return unavailable("what listens at " + path + " is of no use: " + status.error().message);
  return std::unique_ptr<Client>(std::move(client));
}

Result<std::unique_ptr<Client>> start_private(const ConnectOptions& options) {
  std::string path = options.loiterd;
  if (path.empty()) {
    Result<std::string> found = cli::find_loiterd();
    if (!found) return found.error();
    path = *found;
  }
  Result<std::unique_ptr<PrivateDaemon>> daemon = PrivateDaemon::start(path, options.daemon_args);
  if (!daemon) return daemon.error();
  auto dial = [raw = daemon->get()] { return raw->dial(); };
  auto client = std::make_unique<HttpClient>(dial, "", std::move(*daemon));
  Result<json> status = client->get("/v1/status");
  if (!status) return status.error();
  return std::unique_ptr<Client>(std::move(client));
}

}  // namespace

Result<std::unique_ptr<Client>> connect_to_daemon(const ConnectOptions& options) {
  const std::string path = options.socket_path.value_or(options.default_socket);
  auto connected = connect_to(path, options.first_answer);
  if (const Refusal* refusal = std::get_if<Refusal>(&connected)) {
    const bool none_runs = refusal->error == ENOENT || refusal->error == ECONNREFUSED;
    if (none_runs && !options.socket_path) return start_private(options);
    return explain(*refusal, path);
  }
  std::get<Fd>(connected).reset();
  return connect_to_running(path, options.first_answer);
}

}  // namespace loiter
