// What a cgroup path says of who runs a process: systemd's unit, a container's id. Pure functions.
#pragma once

#include <string_view>

namespace loiter {

// "/system.slice/api.service" -> "api.service"; the innermost unit (service or scope) that is no container;
// empty: none.
std::string_view unit_of(std::string_view cgroup);

// The 64 hexadecimal digits with which Docker, containerd and CRI-O name a container, also inside
// "docker-<id>.scope" or "cri-containerd-<id>.scope"; empty: none.
std::string_view container_of(std::string_view cgroup);

}  // namespace loiter
