// Where the binaries under test are. The whole build directory may be moved (into a virtual machine, say):
// it is found from the running test program, build/tests/live_tests, or given by LOITER_BUILD.
//
// Pure functions, any thread.
#pragma once

#include <string>

namespace loiter::test {

std::string build_dir();
std::string loiterd_path();
std::string loiter_path();
std::string workload_path(const std::string& name);

}  // namespace loiter::test
