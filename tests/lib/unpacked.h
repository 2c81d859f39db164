// Programs of Debian's packages that scripts/fetch-servers has unpacked and not installed.
//
// Pure functions, any thread. What is not there throws std::runtime_error.
#pragma once

#include <string>
#include <vector>

namespace loiter::test {

// Whether scripts/fetch-servers has been there; with `all` for the large ones, too.
bool servers_are_there(bool all);

// "sbin/nginx": where it is.
std::string program(const std::string& path_in_usr);

// The directory of the libraries that the programs need and this machine lacks.
std::string libraries();

// A command line for a program of them, as root.
std::vector<std::string> with_libraries(const std::vector<std::string>& argv);

// One that is run as nobody, who may have no way to the build directory: in a mount namespace that has all of
// them at /mnt, as `argv` says.
std::vector<std::string> as_nobody(const std::vector<std::string>& argv);

// PostgreSQL's programs, whatever its version, as as_nobody() has them.
std::string postgres_bin();

}  // namespace loiter::test
