#include "cli/finding_text.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "cli/json_read.h"
#include "cli/model.h"
#include "cli/stack_model.h"
#include "cli/stack_text.h"
#include "cli/wait_text.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr size_t kMostFrames = 12;

std::string word(const json& object, const char* key) {
  const json* found = member(object, key);
  return found ? escape_for_terminal(found->get<std::string>()) : "";
}

// "2026-11-21T06:18:04.123456789Z" to the second.
std::string moment(const json& object, const char* key) {
  std::string time = word(object, key);
  const size_t dot = time.find('.');
  return dot == time.npos ? time : time.substr(0, dot) + "Z";
}

// What the configuration did to it.
std::string rule_note(const json& finding) {
  const json* rule = member(finding, "rule");
  if (!rule) return "";
  const std::string reason = word(*rule, "reason");
  return "  by the rule in line " + std::to_string(rule->at("line").get<uint32_t>()) +
         " of the configuration" + (reason.empty() ? "" : ": " + reason);
}

std::string head_of(const json& finding) {
  return word(finding, "severity") + " " + word(finding, "kind") + " (" + word(finding, "certainty") +
         "): " + word(finding, "summary");
}

void add_stack(std::vector<std::string>& lines, const json& thread) {
  for (std::string& line : finding_stack_lines(thread.at("stack"), "      "))
    lines.push_back(std::move(line));
  if (const std::string cut = word(thread, "cut"); !cut.empty()) lines.push_back("      (" + cut + ")");
}

}  // namespace

bool counts_as_failure(const json& finding) {
  return finding.at("severity") != "info" && !member(finding, "resolved");
}

std::vector<std::string> short_finding_lines(const json& finding) {
  std::vector<std::string> lines{head_of(finding)};
  if (const std::string hint = word(finding, "hint"); !hint.empty()) lines.push_back("  " + hint);
  return lines;
}

std::vector<std::string> finding_lines(const json& finding, StacksShown shown) {
  std::vector<std::string> lines{head_of(finding)};
  const json& process = finding.at("process");
  std::string about = "  " + word(finding, "id") + ", process " +
                      std::to_string(process.at("pid").get<uint32_t>()) + " " + word(process, "comm");
  if (const std::string unit = word(process, "unit"); !unit.empty()) about += " of " + unit;
  if (const std::string since = moment(finding, "since"); !since.empty()) about += ", since " + since;
  about += ", first seen " + moment(finding, "first_seen");
  if (member(finding, "resolved"))
    about += ", resolved " +
             std::string(finding.value("resolved_exactness", json()) == "estimated" ? "by " : "") +
             moment(finding, "resolved") + " (" + word(finding, "resolution") + ")";
  lines.push_back(about);
  if (const std::string note = rule_note(finding); !note.empty()) lines.push_back(note);
  const json& threads = finding.at("threads");
  const size_t chain = std::min<size_t>(finding.value("chain", size_t{0}), threads.size());
  const bool all_stacks = shown == StacksShown::chain || finding.at("kind") == "deadlock";
  for (size_t i = 0; i < std::max<size_t>(chain, std::min<size_t>(threads.size(), 1)); ++i) {
    lines.push_back("    " + finding_thread_line(threads[i]));
    if (i == 0 || all_stacks) add_stack(lines, threads[i]);
  }
  const auto told = std::max<uint64_t>(chain, std::min<size_t>(threads.size(), 1));
  if (const uint64_t count = finding.at("count"); count > told && told > 0)
    lines.push_back("    and " + std::to_string(count - told) + " more");
  if (const std::string hint = word(finding, "hint"); !hint.empty()) lines.push_back("  hint: " + hint);
  return lines;
}

std::string finding_thread_line(const json& thread) {
  std::string line = std::to_string(thread.at("tid").get<uint32_t>()) + " " + word(thread, "name") + ": " +
                     word(thread, "state");
  const std::string age = format_age(parse_age(thread), true);
  if (!age.empty()) line += " " + age;
  if (const json* wait = member(thread, "wait"); wait && member(*wait, "kind"))
    line += ", " + wait_text_long(*parse_wait(thread));
  return line;
}

std::vector<std::string> finding_stack_lines(const json& stack, const std::string& indent) {
  std::vector<StackFrame> frames;
  for (const json& frame : stack) frames.push_back(parse_frame(frame));
  const size_t first = first_own_frame(frames);
  const size_t end = std::min(std::max(end_of_own_frames(frames), first), first + kMostFrames);
  std::vector<std::string> lines;
  for (size_t i = first; i < end; ++i) lines.push_back(indent + frame_text(frames[i]));
  return lines;
}

std::string finding_event_line(const json& event) {
  return moment(event, "time") + "  " + word(event, "change") + "  " + head_of(event.at("finding"));
}

}  // namespace loiter::cli
