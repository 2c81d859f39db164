#include "cli/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

namespace loiter::cli {
namespace {

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;

// What libcurl's callbacks share about one request.
struct Transfer {
  const HttpRequest& request;
  const Http::Dial& dial;
  CURL* easy = nullptr;
  Fd connected{};   // until it stands in for `socket`
  int socket = -1;  // libcurl's
  HttpAnswer answer{};
  size_t received = 0;
  bool ended_by_reader = false;
  bool too_large = false;
  std::optional<Error> dial_error{};
};

// A socket for which connect() to `address` does nothing: a datagram one, and its own name.
int make_stand_in(curl_sockaddr& address) {
  Fd stand_in(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socklen_t length = sizeof(sa_family_t);  // the kernel chooses a name then: unix(7), autobind
  auto* generic = reinterpret_cast<sockaddr*>(&name);
  if (!stand_in || bind(stand_in.get(), generic, length)) return -1;
  length = sizeof(name);
  if (getsockname(stand_in.get(), generic, &length) || length > sizeof(address.addr)) return -1;
  memcpy(&address.addr, &name, length);
  address.addrlen = length;
  return stand_in.release();
}

// libcurl should use a socket that is connected already. CURL_SOCKOPT_ALREADY_CONNECTED says so, but
// libcurl 7.88, Debian 12's, calls connect() all the same and fails (github.com/curl/curl/issues/10626). So
// it connects a stand-in, and the real one takes its place before the first byte.
curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(user);
  Result<Fd> connected = transfer.dial();
  if (!connected) {
    transfer.dial_error = connected.error();
    return CURL_SOCKET_BAD;
  }
  transfer.connected = std::move(*connected);
  transfer.socket = make_stand_in(*address);
  return transfer.socket;
}

int put_real_socket(void* user, char*, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(user);
  fcntl(transfer.connected.get(), F_SETFL, O_NONBLOCK);
  const bool good = dup3(transfer.connected.get(), transfer.socket, O_CLOEXEC) >= 0;
  transfer.connected.reset();
  return good ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

int close_socket(void*, curl_socket_t socket) {
  return close(socket);
}

size_t take_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.received += size;
  curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  const bool handed_on = transfer.request.on_body && transfer.answer.status == 200;
  if (handed_on) {
    transfer.ended_by_reader = !transfer.request.on_body({data, size});
    return transfer.ended_by_reader ? CURL_WRITEFUNC_ERROR : size;
  }
  transfer.too_large = transfer.received > transfer.request.max_bytes;
  if (transfer.too_large) return CURL_WRITEFUNC_ERROR;
  transfer.answer.body.append(data, size);
  return size;
}

void prepare(CURL* easy, Transfer& transfer) {
  // The host's name is for the Host header only: dial() connects, whatever address libcurl has in mind.
  const std::string url = "http://localhost" + transfer.request.target;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, "loiterd");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(transfer.request.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, put_real_socket);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
}

Error failure(CURLcode code, const Transfer& transfer) {
  if (transfer.dial_error) return *transfer.dial_error;
  std::string why = curl_easy_strerror(code);
  if (transfer.too_large) why = "the answer is too large";
  if (code == CURLE_OPERATION_TIMEDOUT) why = "no answer in time";
  return {Error::Kind::unavailable, why};
}

}  // namespace

Http::Http(Dial dial) : dial_(std::move(dial)), cancelled_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;  // where it failed, curl_easy_init gives null
}

void Http::watch(int fd, std::function<bool()> on_readable) {
  watched_ = fd;
  on_readable_ = std::move(on_readable);
}

void Http::cancel() {
  const uint64_t one = 1;
  // EAGAIN means that it has been cancelled 2^64 times already.
  [[maybe_unused]] const ssize_t written = write(cancelled_.get(), &one, sizeof(one));
}

bool Http::cancelled() const {
  pollfd ask{cancelled_.get(), POLLIN, 0};
  return poll(&ask, 1, 0) == 1;
}

Result<HttpAnswer> Http::get(const HttpRequest& request) {
  const Error interrupted{Error::Kind::unavailable, "interrupted"};
  if (cancelled()) return interrupted;
  Easy easy(curl_easy_init());
  Multi multi(curl_multi_init());
  if (!easy || !multi) return Error{Error::Kind::internal, "libcurl cannot be initialised"};
  Transfer transfer{.request = request, .dial = dial_, .easy = easy.get()};
  prepare(easy.get(), transfer);
  curl_multi_add_handle(multi.get(), easy.get());

  int running = 1;
  while (true) {
    curl_multi_perform(multi.get(), &running);
    if (running == 0 || cancelled()) break;
    std::array<curl_waitfd, 2> others{
        {{cancelled_.get(), CURL_WAIT_POLLIN, 0}, {watched_, CURL_WAIT_POLLIN, 0}}};
    curl_multi_poll(multi.get(), others.data(), watched_ >= 0 ? 2 : 1, 60'000, nullptr);
    if (watched_ >= 0 && others[1].revents != 0 && !on_readable_()) watched_ = -1;
  }
  CURLcode code = CURLE_ABORTED_BY_CALLBACK;
  int left = 0;
  if (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) code = message->data.result;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  curl_multi_remove_handle(multi.get(), easy.get());
  if (running != 0) return interrupted;
  if (code != CURLE_OK && !transfer.ended_by_reader) return failure(code, transfer);
  return std::move(transfer.answer);
}

}  // namespace loiter::cli
