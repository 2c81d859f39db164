// Findings as text: `loiter findings`, and the short form of `loiter scan`.
//
// Pure functions, any thread. They throw a std::exception where a document is not what API.md says. All
// results are fit for a terminal.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace loiter::cli {

// Of severity warning or above, and not resolved.
bool counts_as_failure(const nlohmann::json& finding);

// "critical deadlock (proven): …", and below it the hint.
std::vector<std::string> short_finding_lines(const nlohmann::json& finding);

// With its id and times, its chain and the stack at its root, or those of all the chain: of a deadlock
// always.
enum class StacksShown : uint8_t { root, chain };
std::vector<std::string> finding_lines(const nlohmann::json& finding, StacksShown shown = StacksShown::root);

// "814 worker-1: sleeping 3.2s, mutex 0x…", of a thread of a finding.
std::string finding_thread_line(const nlohmann::json& thread);

// The program's own frames of a stack, each after `indent`; few enough for a report.
std::vector<std::string> finding_stack_lines(const nlohmann::json& stack, const std::string& indent);

// One event of the stream in a line: when, what became of it, what it is.
std::string finding_event_line(const nlohmann::json& event);

}  // namespace loiter::cli
