#include "cli/wait_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

constexpr size_t kNamedPeers = 2;

std::string escaped(const std::optional<std::string>& text) {
  return escape_for_terminal(text.value_or(""));
}

// "mutex", "flock", "condvar": what kind of thing it waits for or in, where `detail` and `syscall` say more
// than the kind does.
std::string lock_word(const Wait& wait) {
  const std::string detail = wait.detail.value_or("");
  if (detail.starts_with("pthread_mutex_t")) return "mutex";
  if (detail.starts_with("pthread_rwlock_t")) return "rwlock";
  if (detail.starts_with("FILE")) return "FILE lock";
  return "lock";
}

std::string head_of(const Wait& wait) {
  const std::string syscall = escaped(wait.syscall);
  const std::string& kind = wait.kind;
  if (kind == "lock") return lock_word(wait);
  if (kind == "sleep" || kind == "file_lock" || kind == "ipc" || kind == "wait_child")
    return !syscall.empty() ? syscall : kind == "file_lock" ? "file lock" : escape_for_terminal(kind);
  if (kind == "poll") {
    const bool told = wait.object && wait.object->starts_with("epoll");
    return told ? "" : !syscall.empty() ? syscall : "poll";
  }
  if (kind == "signal") return "signal";
  if (kind == "page_fault") return "page fault";
  if (kind.empty() || kind == "other") return syscall.empty() ? "?" : syscall;
  return escape_for_terminal(kind);
}

std::string holder_name(const Wait& wait) {
  std::string who = wait.holder_tid   ? std::to_string(*wait.holder_tid)
                    : wait.holder_pid ? "pid " + std::to_string(*wait.holder_pid)
                                      : "";
  if (!who.empty() && wait.holder_name && !wait.holder_name->empty()) who += " " + escaped(wait.holder_name);
  return who;
}

bool has_holders(const Wait& wait) {
  return wait.kind == "lock" || wait.kind == "file_lock";
}

// "held by 4711 db-writer", in `brief` "of 4711 db-writer"; empty where the kind has no holders.
std::string holder_of(const Wait& wait, bool brief) {
  std::string who = holder_name(wait);
  if (wait.holder_state == "inherited") return brief ? "inherited" : "locked before the fork (inherited)";
  if (wait.holder_state == "ended") {
    const std::string number = wait.holder_tid ? std::to_string(*wait.holder_tid) : who;
    return (has_holders(wait) ? "owner " : "") + (number.empty() ? "" : number + " ") + "ENDED";
  }
  if (!who.empty()) {
    if (wait.kind == "join" || wait.kind == "vfork" || wait.kind == "wait_child") return who;
    return (brief ? "of " : "held by ") + who;
  }
  if (wait.holder_state == "none" || !has_holders(wait)) return "";
  if (wait.kind == "file_lock" && !wait.peers.empty())
    return brief ? "shared" : "held by";  // whom peers_of() names
  return brief ? "holder ?" : "holder unknown";
}

std::string peers_of(const Wait& wait) {
  // Processes with the same open file hold its lock together: any of them may give it back.
  const bool shares = wait.kind == "file_lock";
  std::string text;
  size_t named = 0;
  for (const WaitPeer& peer : wait.peers) {
    if (!peer.pid && !peer.tid && peer.comm.empty()) continue;
    if (++named > kNamedPeers) continue;
    text += named > 1 ? shares ? " or " : ", " : shares ? "" : ", other end ";
    const std::optional<uint32_t> number = peer.pid ? peer.pid : peer.tid;
    text += number ? std::to_string(*number) : "";
    if (!peer.comm.empty()) text += (number ? " " : "") + escape_for_terminal(peer.comm);
  }
  if (named > kNamedPeers)
    text += (shares ? " or " : " and ") + std::to_string(named - kNamedPeers) + " more";
  return text;
}

// ", 12.0s left"; that there is none only for waits that often have one.
std::string timeout_of(const Wait& wait) {
  constexpr auto kOftenTimed = std::to_array<std::string_view>({"condvar", "semaphore", "futex"});
  if (wait.timeout_left_ns == 0) return ", its time is up";
  if (wait.timeout_left_ns) return ", " + format_duration(*wait.timeout_left_ns) + " left";
  if (wait.timeout_ns) return ", timeout " + format_duration(*wait.timeout_ns);
  if (wait.bounded == true) return wait.kind == "sleep" ? "" : ", with a timeout";
  const bool told = std::ranges::find(kOftenTimed, wait.kind) != kOftenTimed.end();
  return wait.bounded == false && told ? ", no timeout" : "";
}

// An address is told apart by its last digits: those before are the same for all of a heap or stack.
std::string shortened(const std::string& object) {
  constexpr size_t kKept = 4;
  if (!object.starts_with("0x") || object.size() <= 2 + kKept + 1) return object;
  return "0x…" + object.substr(object.size() - kKept);
}

std::string object_of(const Wait& wait) {
  // The number of who is waited for stands there with a name already.
  const bool is_named = wait.kind == "join" || wait.kind == "wait_child" || wait.kind == "vfork";
  if (is_named && !holder_name(wait).empty()) return "";
  return escaped(wait.object);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    if (!word.empty()) text += (text.empty() || word.starts_with(",") ? "" : " ") + word;
  return text;
}

// "tcp 127.0.0.1:80 -> …" as a noun.
std::string noun_of(const Wait& wait, const std::string& otherwise) {
  const std::string object = escaped(wait.object);
  if (object.empty()) return otherwise;
  return object.starts_with("tcp ") ? "TCP connection " + object.substr(4) : object;
}

std::string in_syscall(const Wait& wait) {
  return wait.syscall ? " (" + escaped(wait.syscall) + ")" : "";
}

// Sentences of the kinds that are not "waits for THING".
std::string sentence_of_kind(const Wait& wait) {
  const std::string& kind = wait.kind;
  const std::string who = holder_name(wait);
  if (kind == "join") return "waits for " + (who.empty() ? "a thread" : who) + " to end (join)";
  if (kind == "sleep") return "sleeps" + in_syscall(wait);
  if (kind == "poll") return "waits for something to happen on " + noun_of(wait, "its descriptors");
  if (kind == "accept") return "waits for somebody to connect to " + noun_of(wait, "its socket");
  if (kind == "read") return "waits to read from " + noun_of(wait, "a descriptor") + peers_of(wait);
  if (kind == "write") return "waits to write to " + noun_of(wait, "a descriptor") + peers_of(wait);
  if (kind == "connect") return "waits to be connected: " + noun_of(wait, "a socket");
  if (kind == "wait_child")
    return "waits for " + (!who.empty() ? who : "its child " + noun_of(wait, "processes")) + " to end";
  if (kind == "signal") return "waits for a signal";
  if (kind == "disk") return "waits for the disk" + (wait.object ? ": " + noun_of(wait, "") : "");
  if (kind == "vfork")
    return "waits for its vfork child" + (who.empty() ? "" : " " + who) + " to exec or end";
  if (kind == "page_fault") return "waits for a page of memory";
  if (kind == "io_uring") return "waits for io_uring";
  if (kind == "stopped" || kind == "frozen") return "is " + kind;
  if (kind.empty() || kind == "other")
    return wait.syscall ? "is blocked in " + escaped(wait.syscall) : "is blocked in something not known";
  return "";
}

}  // namespace

std::string wait_text(const Wait& wait) {
  return joined({head_of(wait), object_of(wait), holder_of(wait, false), peers_of(wait), timeout_of(wait)});
}

std::string wait_text_within(const Wait& wait, size_t columns) {
  const std::string head = head_of(wait), object = object_of(wait), brief = holder_of(wait, true);
  const std::string rest = joined({holder_of(wait, false), peers_of(wait), timeout_of(wait)});
  std::vector<std::string> candidates{wait_text(wait), joined({head, shortened(object), rest})};
  if (!brief.empty()) {
    candidates.push_back(joined({head, rest}));
    candidates.push_back(joined({head, brief}));
  }
  for (const std::string& text : candidates)
    if (display_width(text) <= columns) return text;
  return fit_columns(candidates.back(), columns);
}

std::string wait_text_long(const Wait& wait) {
  std::string more = escaped(wait.detail);
  if (wait.fd) more += (more.empty() ? "" : ", ") + ("fd " + std::to_string(*wait.fd));
  return wait_text(wait) + (more.empty() ? "" : " (" + more + ")");
}

std::string wait_sentence(const Wait& wait) {
  const std::string special = sentence_of_kind(wait);
  return special.empty() ? "waits for " + wait_text(wait) : special + timeout_of(wait);
}

}  // namespace loiter::cli
