// The version of loiter and loiterd, which belong together.
#pragma once

namespace loiter {
constexpr const char* kVersion = "0.1.0";
}
