#include "cli/runtime_threads.h"

#include <algorithm>
#include <array>
#include <set>

#include "cli/stack_text.h"

namespace loiter::cli {
namespace {

// All that is not null has to match. `module` is the base name of the start routine's, which stays where
// symbols are stripped; a start routine without a symbol matches `routine` only where that is null.
struct Rule {
  const char* runtime;
  const char* module;
  const char* routine;
  const char* waits_in;    // a frame of the stack that it waits on
  const char* created_at;  // a frame of its creator's stack at that moment
  const char* unless;      // a start routine that is the program's all the same
};

constexpr std::array kRules{
    // OpenJDK, os_linux.cpp: os::create_thread() gives each thread thread_native_entry, those of the
    // program's
    // java.lang.Threads too: a Java stack alone would tell them apart. java_md.c runs main() in one of
    // libjli.
    Rule{"jvm", "libjvm.so", nullptr, nullptr, nullptr, nullptr},
    Rule{"jvm", "libjli.so", nullptr, nullptr, nullptr, nullptr},

    // Go, src/runtime/os_linux.go: newosproc() clones Ms, which begin in mstart (proc.go; on g0's stack, its
    // outermost frame; asm_amd64.s calls mstart0 or mstart1 from there). With cgo, gcc_linux_amd64.c begins
    // them in threadentry by _cgo_sys_thread_start.
    Rule{"go", nullptr, nullptr, "runtime.mstart*", nullptr, nullptr},
    Rule{"go", nullptr, nullptr, "runtime.mcall", nullptr, nullptr},
    Rule{"go", nullptr, nullptr, "runtime.goexit*", nullptr, nullptr},
    Rule{"go", nullptr, nullptr, nullptr, "runtime.newosproc*", nullptr},
    Rule{"go", nullptr, "threadentry", nullptr, "_cgo_*thread*", nullptr},
    Rule{"go", nullptr, "threadentry", "runtime.*", nullptr, nullptr},

    // Node, src/node_platform.cc and inspector_agent.cc; a Worker (node_worker.cc) is one of the program's.
    Rule{"node", nullptr, "node::*", nullptr, nullptr, "node::worker::Worker::StartThread*"},
    Rule{"node", "libnode.so*", nullptr, nullptr, nullptr, "node::worker::Worker::StartThread*"},
    // V8, src/base/platform/platform-posix.cc.
    Rule{"node", nullptr, "v8::base::ThreadEntry*", nullptr, nullptr, nullptr},
    // libuv, src/threadpool.c: uv__work_submit() starts the pool, whose threads run worker().
    Rule{"node", "libuv.so*", nullptr, nullptr, nullptr, nullptr},
    Rule{"node", nullptr, "worker", nullptr, "uv__work_submit", nullptr},
    Rule{"node", nullptr, "worker", "uv_cond_wait", nullptr, nullptr},

    // GCC, libgomp/team.c: gomp_thread_start. LLVM, openmp/runtime/src/z_Linux_util.cpp: __kmp_launch_worker,
    // __kmp_launch_monitor.
    Rule{"openmp", "libgomp.so*", nullptr, nullptr, nullptr, nullptr},
    Rule{"openmp", nullptr, "gomp_thread_start", nullptr, nullptr, nullptr},
    Rule{"openmp", "libomp.so*", nullptr, nullptr, nullptr, nullptr},
    Rule{"openmp", "libiomp5.so*", nullptr, nullptr, nullptr, nullptr},
    Rule{"openmp", nullptr, "__kmp_launch_*", nullptr, nullptr, nullptr},

    // tokio: threads of std begin in std's thread_start; what is tokio's stands on the stack:
    // runtime/blocking/pool.rs Inner::run (its blocking pool, which runs the workers as well) and
    // runtime/scheduler/multi_thread/worker.rs run.
    Rule{"tokio", nullptr, nullptr, "*tokio::runtime::blocking::pool::Inner::run*", nullptr, nullptr},
    Rule{"tokio", nullptr, nullptr, "*tokio::runtime::*worker::run*", nullptr, nullptr},
};

bool matches(const Rule& rule, const ThreadTraits& traits) {
  const std::string symbol = traits.routine ? traits.routine->symbol.value_or("") : "";
  if (rule.module && (!traits.routine || !traits.routine->module ||
                      !glob_matches(rule.module, std::string(base_name(*traits.routine->module)))))
    return false;
  if (rule.routine && (symbol.empty() || !glob_matches(rule.routine, symbol))) return false;
  if (rule.waits_in && !any_frame_matches(rule.waits_in, traits.waits_in)) return false;
  if (rule.created_at && !any_frame_matches(rule.created_at, traits.created_at)) return false;
  return !rule.unless || symbol.empty() || !glob_matches(rule.unless, symbol);
}

}  // namespace

std::optional<std::string_view> runtime_of(const ThreadTraits& traits) {
  const auto rule = std::ranges::find_if(kRules, [&](const Rule& each) { return matches(each, traits); });
  return rule == kRules.end() ? std::nullopt : std::optional<std::string_view>(rule->runtime);
}

std::vector<std::string_view> runtime_names() {
  std::set<std::string_view> names;
  for (const Rule& rule : kRules) names.insert(rule.runtime);
  return {names.begin(), names.end()};
}

}  // namespace loiter::cli
