#include "cli/check/report.h"

#include <string.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/finding_text.h"
#include "cli/json_read.h"
#include "cli/stack_text.h"
#include "cli/thread_traits.h"
#include "cli/word_wrap.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr int kFindings = 1, kOwnFailure = 125;
constexpr size_t kParagraph = 80;
constexpr size_t kMostFrames = 12;
constexpr size_t kToldThreads = 3;  // of a group that is alike

std::string counted(uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// All are told where they differ, and how.
size_t told_threads(const json& finding) {
  const size_t all = finding.at("threads").size();
  if (finding.at("kind") == "timeout") return all;
  const size_t chain = std::min<size_t>(finding.value("chain", size_t{0}), all);
  return chain ? chain : std::min(all, kToldThreads);
}

void add_stack(std::vector<std::string>& lines, const json& stack) {
  for (std::string& line : finding_stack_lines(stack, "      ")) lines.push_back(std::move(line));
}

// Where it was made; threads that are alike were all made there.
void add_creation(std::vector<std::string>& lines, const json& thread) {
  const std::vector<StackFrame> frames = traits_of(thread).created_at;
  if (frames.empty()) return;
  const size_t first = first_creating_frame(frames);
  lines.push_back("    made by " + std::to_string(thread.at("created_by").value("tid", 0u)) + ":");
  const size_t end = std::min(std::max(end_of_own_frames(frames), first + 1), first + kMostFrames);
  for (size_t i = first; i < std::min(end, frames.size()); ++i)
    lines.push_back("      " + frame_text(frames[i]));
}

void add_threads(std::vector<std::string>& lines, const json& finding) {
  const json& threads = finding.at("threads");
  const bool alike = finding.at("kind") == "live_at_exit" || finding.at("kind") == "unjoined";
  const size_t told = told_threads(finding);
  for (size_t i = 0; i < told; ++i) {
    const json& thread = threads[i];
    if (member(thread, "tid")) lines.push_back("    " + finding_thread_line(thread));
    if (i == 0 || !alike) {
      add_stack(lines, thread.at("stack"));
      if (const json* cut = member(thread, "cut"))
        lines.push_back("      (" + escape_for_terminal(cut->get<std::string>()) + ")");
    }
    if (!alike) add_creation(lines, thread);
  }
  if (const uint64_t count = finding.at("count"); count > told && told > 0)
    lines.push_back("    and " + std::to_string(count - told) + " more");
  if (alike && !threads.empty()) add_creation(lines, threads[0]);
}

void add_process(std::vector<std::string>& lines, const ProcessVerdict& process) {
  if (!process.why.empty())
    for (std::string& line : word_wrap(process.why, kParagraph)) lines.push_back("  " + std::move(line));
  for (const json& finding : process.findings) {
    lines.push_back("  " + short_finding_lines(finding)[0]);
    add_threads(lines, finding);
    if (const json* hint = member(finding, "hint"))
      lines.push_back("    hint: " + escape_for_terminal(hint->get<std::string>()));
  }
}

std::string end_text(const CheckReport& report) {
  std::string text = "'" + escape_for_terminal(report.command.empty() ? "" : report.command[0]) + "' ";
  if (report.ended_after_ns)
    return text + "was not done after " + format_duration(*report.ended_after_ns) + " and was ended";
  if (report.signal) {
    const char* name = sigabbrev_np(report.signal);
    return text + "was ended by signal " + (name ? std::string("SIG") + name : std::to_string(report.signal));
  }
  return text + "ended with " + std::to_string(report.exit_code);
}

json process_json(const ProcessVerdict& process) {
  json runtimes = json::object();
  for (const auto& [name, count] : process.runtime_threads) runtimes[name] = count;
  return {{"pid", process.pid},           {"comm", process.comm},
          {"end", process.end},           {"why", process.why.empty() ? json() : json(process.why)},
          {"findings", process.findings}, {"ignored_threads", process.ignored},
          {"runtime_threads", runtimes},  {"not_judged", process.not_judged}};
}

const ProcessVerdict* unseen_in(const CheckReport& report) {
  const auto found = std::ranges::find(report.processes, "not_seen", &ProcessVerdict::end);
  return found == report.processes.end() ? nullptr : &*found;
}

uint64_t ignored_in(const CheckReport& report) {
  uint64_t count = 0;
  for (const ProcessVerdict& process : report.processes) count += process.ignored;
  return count;
}

}  // namespace

size_t findings_in(const CheckReport& report) {
  size_t count = 0;
  for (const ProcessVerdict& process : report.processes) count += process.findings.size();
  return count;
}

int check_exit_code(const CheckReport& report) {
  if (report.ended_after_ns) return kFindings;
  if (report.signal) return 128 + report.signal;
  if (report.exit_code) return report.exit_code;
  if (findings_in(report)) return kFindings;
  return report.troubles.empty() ? 0 : kOwnFailure;
}

std::vector<std::string> check_lines(const CheckReport& report) {
  std::vector<std::string> lines;
  const size_t findings = findings_in(report);
  if (findings || report.ended_after_ns) {
    lines.push_back("loiter: " + end_text(report) + ": " + counted(findings, "finding"));
    for (const ProcessVerdict& process : report.processes) {
      if (process.end == "not_seen" && !process.findings.empty())
        lines.push_back("  the end of " + escape_for_terminal(process.comm) + " (" +
                        std::to_string(process.pid) + ") was not seen: what was found while it ran");
      add_process(lines, process);
      if (process.findings.empty()) continue;
      for (const json& item : process.not_judged)
        lines.push_back("  not judged: " + escape_for_terminal(item.value("kind", "")) + ": " +
                        escape_for_terminal(item.value("reason", "")));
    }
  }
  if (const ProcessVerdict* unseen = unseen_in(report); unseen && unseen->findings.empty() && !report.signal)
    lines.push_back("loiter: the end of " + escape_for_terminal(unseen->comm) + " (" +
                    std::to_string(unseen->pid) +
                    ") was not seen, it did not call exit_group: its threads were "
                    "not looked at");
  if (const uint64_t ignored = ignored_in(report))
    lines.push_back("loiter: " + counted(ignored, "thread") + " left out by --ignore");
  if (report.not_held)
    lines.push_back("loiter: " + std::to_string(report.not_held) +
                    (report.not_held == 1 ? " process" : " processes") + " could not be looked at");
  for (const std::string& trouble : report.troubles)
    lines.push_back("loiter: " + escape_for_terminal(trouble));
  return lines;
}

json check_document(const CheckReport& report) {
  json document{{"schema", 1},
                {"command", report.command},
                {"pid", report.pid},
                {"exit_code", report.signal ? json() : json(report.exit_code)},
                {"signal", report.signal ? json(report.signal) : json()},
                {"not_done_after_ns", report.ended_after_ns ? json(*report.ended_after_ns) : json()},
                {"ran_ns", report.ran_ns},
                {"result", check_exit_code(report)},
                {"findings", json::array()},
                {"processes", json::array()},
                {"ignored_threads", ignored_in(report)},
                {"not_held", report.not_held},
                {"short_lived", report.short_lived},
                {"others_live", report.others_live},
                {"troubles", report.troubles}};
  for (const ProcessVerdict& process : report.processes) {
    document["processes"].push_back(process_json(process));
    for (const json& finding : process.findings) document["findings"].push_back(finding);
  }
  return document;
}

}  // namespace loiter::cli
