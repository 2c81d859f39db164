#include "daemon/sensors/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <numeric>

#include "bpf/records.h"
#include "daemon/base/bytes.h"

namespace loiter {
namespace {

int log_libbpf(libbpf_print_level level, const char* format, va_list args) {
  if (!spdlog::should_log(level == LIBBPF_WARN ? spdlog::level::debug : spdlog::level::trace)) return 0;
  std::array<char, 1024> line;
  vsnprintf(line.data(), line.size(), format, args);
  std::string_view text(line.data());
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  spdlog::log(level == LIBBPF_WARN ? spdlog::level::debug : spdlog::level::trace, "libbpf: {}",
              escape_for_terminal(text));
  return 0;
}

uint64_t fdinfo_number(int fd, std::string_view key) {
  std::ifstream file("/proc/self/fdinfo/" + std::to_string(fd));
  std::string word;
  while (file >> word) {
    uint64_t value = 0;
    if (word == key && file >> value) return value;
  }
  return 0;
}

}  // namespace

void install_libbpf_log() {
  libbpf_set_print(log_libbpf);
}

Error bpf_error(std::string_view what, int error_number) {
  std::string message = std::string(what) + ": " + std::strerror(error_number);
  switch (error_number) {
    case EPERM:
    case EACCES:
      message +=
          "; loiterd needs CAP_BPF and CAP_PERFMON, and a kernel that does not lock BPF down: see `loiter "
          "doctor`";
      break;
    case ESRCH:
    case ENOENT:
      message += "; this kernel lacks BTF or the hook: see `loiter doctor`";
      break;
    default:
      message += "; see `loiter doctor`";
      break;
  }
  return {Error::Kind::unavailable, message};
}

uint64_t map_bytes(int map_fd) {
  return fdinfo_number(map_fd, "memlock:");
}

std::vector<BpfMapSize> map_sizes(const bpf_object* object) {
  std::vector<BpfMapSize> sizes;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    int fd = bpf_map__fd(map);
    if (fd >= 0) sizes.push_back({bpf_map__name(map), map_bytes(fd)});
  }
  return sizes;
}

std::vector<LossCount> read_losses(int map_fd) {
  std::vector<LossCount> losses;
  int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return losses;
  std::vector<uint64_t> per_cpu(static_cast<size_t>(cpus));
  auto add = [&](uint32_t key, const char* word, const char* text) {
    if (bpf_map_lookup_elem(map_fd, &key, per_cpu.data())) return;
    losses.push_back({word, text, std::accumulate(per_cpu.begin(), per_cpu.end(), uint64_t{0})});
  };
#define LOITER_ADD_LOSS(name, word, text) add(LOITER_LOSS_##name, word, text);
  LOITER_LOSSES(LOITER_ADD_LOSS)
#undef LOITER_ADD_LOSS
  return losses;
}

}  // namespace loiter
