#include "daemon/sensors/uprobe_events.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "daemon/base/bytes.h"
#include "daemon/base/fd.h"
#include "daemon/sensors/procfs.h"

namespace loiter {
namespace {

constexpr std::string_view kGroupPrefix = "loiter_";
constexpr size_t kMostText = 4 << 20;  // of uprobe_events: some 50,000 names

// Up to `limit` bytes; nothing, and errno, where it cannot be read.
std::optional<std::string> read_text(const std::string& path, size_t limit) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::string text;
  char part[4096];
  ssize_t got = 0;
  while (text.size() < limit && (got = read(file.get(), part, sizeof(part))) > 0)
    text.append(part, static_cast<size_t>(got));
  if (got < 0) return std::nullopt;
  return text;
}

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Cuts `text` after the first `mark`, and gives what stood before.
std::string_view cut(std::string_view& text, char mark) {
  const std::string_view before = text.substr(0, text.find(mark));
  text.remove_prefix(std::min(text.size(), before.size() + 1));
  return before;
}

Result<std::string> find_tracefs() {
  for (const char* path : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    struct statfs fs {};
    if (statfs(path, &fs) == 0 && fs.f_type == TRACEFS_MAGIC) return std::string(path);
  }
  return Error{Error::Kind::unavailable,
               "tracefs is not mounted: `mount -t tracefs tracefs /sys/kernel/tracing` does it"};
}

// The file of names, to be added to: opened with O_TRUNC it would remove all names of the host.
Fd open_names(const std::string& tracefs) {
  return Fd(::open((tracefs + "/uprobe_events").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
}

// 0, or errno.
int command(const std::string& tracefs, const std::string& line) {
  Fd names = open_names(tracefs);
  if (!names) return errno;
  return write(names.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : errno;
}

// 0, or errno. Somebody else may have removed it before.
int remove_name(const std::string& tracefs, const std::string& name) {
  if (access((tracefs + "/events/" + name).c_str(), F_OK) && errno == ENOENT && open_names(tracefs)) return 0;
  return command(tracefs, "-:" + name + '\n');
}

Error names_error(const std::string& tracefs, int number) {
  const std::string file = tracefs + "/uprobe_events";
  std::string why;
  switch (number) {
    case ENOENT:
      why = "this kernel has no " + file + " (CONFIG_UPROBE_EVENTS)";
      break;
    case EROFS:
      why = tracefs + " is mounted read-only";
      break;
    case EACCES:
      why = file + " may be written by root alone, as whom loiterd does not run";
      break;
    case EPERM:  // security_locked_down(LOCKDOWN_TRACEFS)
      why = file + " is refused, as kernel lockdown does (/sys/kernel/security/lockdown)";
      break;
    default:
      why = "the kernel refused a name in " + file + ": " + std::strerror(number);
  }
  return {Error::Kind::unavailable, why};
}

// Debian's and Ubuntu's kernels know a setting above those of the kernel's documentation, at which perf
// events want CAP_SYS_ADMIN whatever they are of; it is the default there.
Error perf_error(int number) {
  constexpr int kHighestDocumented = 2;
  const std::string text = read_text("/proc/sys/kernel/perf_event_paranoid", 16).value_or("");
  const auto level = number_in<int>(std::string_view(text).substr(0, text.find('\n')));
  if (number == EACCES && level && *level > kHighestDocumented)
    return {Error::Kind::unavailable,
            "kernel.perf_event_paranoid is " + std::to_string(*level) +
                ", where this kernel wants CAP_SYS_ADMIN for perf events, which loiterd gives up: `sysctl "
                "kernel.perf_event_paranoid=2` lets it use them"};
  return {Error::Kind::unavailable,
          std::string("the kernel refused its perf event: ") + std::strerror(number)};
}

Result<Fd> open_event(const std::string& tracefs, const std::string& name, uint32_t pid) {
  const std::string text = read_text(tracefs + "/events/" + name + "/id", 32).value_or("");
  const auto id = number_in<uint64_t>(std::string_view(text).substr(0, text.find('\n')));
  if (!id)
    return Error{Error::Kind::unavailable, "the id of " + tracefs + "/events/" + name + " cannot be read"};
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof(attributes);
  attributes.config = *id;
  // Programs run all the same, and the scheduler has nothing to do for it.
  attributes.disabled = 1;
  // Of every process it is of one CPU too, which does not matter: programs run on all.
  const pid_t whose = pid ? static_cast<pid_t>(pid) : -1;
  const int cpu = pid ? -1 : sched_getcpu();
  Fd event(static_cast<int>(syscall(SYS_perf_event_open, &attributes, whose, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event) return perf_error(errno);
  return event;
}

std::optional<uint64_t> start_ticks(const std::string& pid) {
  const std::string stat = read_text("/proc/" + pid + "/stat", 4096).value_or("");
  const size_t behind_name = stat.rfind(')');
  // A zombie has nothing open any more, and keeps its number until somebody waits for it.
  if (behind_name == stat.npos || stat.compare(behind_name, 3, ") Z") == 0) return std::nullopt;
  return start_ticks_of(stat);
}

}  // namespace

std::vector<UprobeEventName> uprobe_event_names(std::string_view text) {
  std::vector<UprobeEventName> names;
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    std::string_view name = cut(line, ' ');
    if (!name.starts_with("p:")) continue;
    name.remove_prefix(2);
    std::string_view event = name;
    if (!event.starts_with(kGroupPrefix)) continue;
    event.remove_prefix(kGroupPrefix.size());
    const auto pid = number_in<uint32_t>(cut(event, '_'));
    const auto start = number_in<uint64_t>(cut(event, '/'));
    if (!pid || !start || !event.starts_with('p') || !number_in<uint64_t>(event.substr(1))) continue;
    names.push_back({std::string(name), *pid, *start});
  }
  return names;
}

void remove_stale_uprobe_events() {
  const auto tracefs = find_tracefs();
  if (!tracefs) return;
  const auto text = read_text(*tracefs + "/uprobe_events", kMostText);
  if (!text) return;
  for (const UprobeEventName& event : uprobe_event_names(*text)) {
    if (start_ticks(std::to_string(event.pid)) == event.start_ticks) continue;
    if (const int error = remove_name(*tracefs, event.name))
      spdlog::warn("the uprobe event {} of a loiterd that has ended cannot be removed: {}", event.name,
                   std::strerror(error));
    else
      spdlog::info("removed the uprobe event {} of a loiterd that has ended", event.name);
  }
}

// A probe in its place.
struct UprobeEvents::Placed {
  std::shared_ptr<UprobeEvents> events;
  std::string name;
  Fd event, link;
  ~Placed() {
    link.reset();
    event.reset();  // the kernel keeps a name that is in use
    events->remove(name);
  }
};

UprobeEvents::UprobeEvents(std::string tracefs, std::string group)
    : tracefs_(std::move(tracefs)), group_(std::move(group)) {}

UprobeEvents::~UprobeEvents() {
  remove_left();
}

Result<std::shared_ptr<UprobeEvents>> UprobeEvents::open() {
  const auto tracefs = find_tracefs();
  if (!tracefs) return tracefs.error();
  if (!open_names(*tracefs)) return names_error(*tracefs, errno);
  const auto start = start_ticks("self");
  if (!start) return Error{Error::Kind::internal, "/proc/self/stat cannot be read"};
  return std::shared_ptr<UprobeEvents>(new UprobeEvents(
      *tracefs, std::string(kGroupPrefix) + std::to_string(getpid()) + '_' + std::to_string(*start)));
}

Result<std::shared_ptr<void>> UprobeEvents::place(const Probe& probe) {
  remove_left();
  const std::string name = group_ + "/p" + std::to_string(next_++);
  const std::string line = "p:" + name + ' ' + probe.path + ':' + hexadecimal(probe.offset) + '\n';
  if (const int error = command(tracefs_, line)) return names_error(tracefs_, error);
  auto placed = std::make_shared<Placed>(shared_from_this(), name, Fd(), Fd());
  auto event = open_event(tracefs_, name, probe.pid);
  if (!event) return event.error();
  placed->event = std::move(*event);
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.perf_event.bpf_cookie = probe.cookie;  // since 5.15
  placed->link = Fd(bpf_link_create(probe.program, placed->event.get(), BPF_PERF_EVENT, &options));
  if (!placed->link)
    return Error{Error::Kind::unavailable,
                 std::string("the kernel refused its program: ") + std::strerror(errno)};
  return std::shared_ptr<void>(std::move(placed));
}

uint64_t UprobeEvents::left() const {
  std::lock_guard lock(mutex_);
  return left_.size();
}

void UprobeEvents::remove(const std::string& name) {
  const int error = remove_name(tracefs_, name);
  if (error == 0) return;
  spdlog::warn("the uprobe event {} cannot be removed: {}; it is tried again", name, std::strerror(error));
  std::lock_guard lock(mutex_);
  left_.push_back(name);
}

void UprobeEvents::remove_left() {
  std::lock_guard lock(mutex_);
  std::erase_if(left_, [this](const std::string& name) { return remove_name(tracefs_, name) == 0; });
}

}  // namespace loiter
