// What is wrong with a process at its end, from what the daemon tells of it while it waits in exit_group:
// threads that still live, threads that nobody joined, and what the daemon has found itself.
//
// Pure functions, any thread. They throw a std::exception where a document is not what API.md says.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace loiter::cli {

struct CheckRules {
  std::vector<std::string> ignore;          // globs, see is_ignored()
  std::vector<std::string> count_runtimes;  // threads of these are counted as well
};

// The daemon's documents of one process; null where they were not asked for or could not be had.
// NOLINTNEXTLINE(bugprone-exception-escape): of json, whose null throws nothing
struct EndDocuments {
  nlohmann::json tree = nullptr, stacks = nullptr, unjoined = nullptr, findings = nullptr;
  uint32_t exiting_tid = 0;        // who called exit_group; 0: nobody
  std::set<uint32_t> ending{};     // threads that are past their last instruction
  uint64_t not_done_after_ns = 0;  // it was to be done by then, and is not; 0: it is at its end
};

struct ProcessVerdict {
  uint32_t pid = 0;
  std::string comm;
  std::string end;                                      // "exit_group", "not_seen", "not_done"
  std::string why;                                      // of "not_done": where it hangs, as a paragraph
  nlohmann::json findings = nlohmann::json::array();    // as in API.md; also of kind live_at_exit and timeout
  nlohmann::json not_judged = nlohmann::json::array();  // {"kind", "reason"}
  uint64_t ignored = 0;                                 // threads that a glob matched
  std::map<std::string, uint64_t> runtime_threads;      // not counted, by runtime
};

// The threads that count as still living, of `tree`; those whose stacks are in `stacks` with these. Without a
// runtime's own, those that are ignored, the main thread and who is about to end; how many were left out is
// added to `verdict`, where there is one.
std::vector<nlohmann::json> live_threads(const EndDocuments& documents, const CheckRules& rules,
                                         ProcessVerdict* verdict);

// Blocked for a lock or the like: who waits longer than this becomes a finding of the daemon's.
bool waits_for_what_must_end(const nlohmann::json& thread);

ProcessVerdict judge_end(const EndDocuments& documents, const CheckRules& rules);

}  // namespace loiter::cli
