#include "cli/check/verdict.h"

#include <algorithm>
#include <array>
#include <optional>

#include "cli/json_read.h"
#include "cli/model.h"
#include "cli/runtime_threads.h"
#include "cli/stack_text.h"
#include "cli/thread_traits.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr size_t kMostThreads = 32;  // told of one finding, as by the daemon

bool lives(const json& thread, const EndDocuments& documents, uint32_t pid) {
  const uint32_t tid = thread.at("tid");
  const std::string state = thread.at("state");
  return tid != pid && tid != documents.exiting_tid && !documents.ending.contains(tid) && state != "zombie" &&
         state != "dead";
}

void add_stacks(json& thread, const json& stacks) {
  thread["stack"] = json::array();
  thread["cut"] = nullptr;
  if (!stacks.is_object()) return;
  for (const json& other : stacks.at("threads"))
    if (other.at("tid") == thread.at("tid")) {
      thread["stack"] = other.value("stack", json::array());
      thread["cut"] = other.value("cut", json());
      return;
    }
}

// Whether it is left out, as a runtime's own or as ignored.
bool left_out(const ThreadTraits& traits, const CheckRules& rules, ProcessVerdict* verdict) {
  if (const auto runtime = runtime_of(traits);
      runtime && std::ranges::find(rules.count_runtimes, *runtime) == rules.count_runtimes.end()) {
    if (verdict) ++verdict->runtime_threads[std::string(*runtime)];
    return true;
  }
  if (!is_ignored(traits, rules.ignore)) return false;
  if (verdict) ++verdict->ignored;
  return true;
}

// --- threads that belong together ------------------------------------------------------------------

std::string symbols_of(const std::vector<StackFrame>& frames) {
  std::string text;
  for (const StackFrame& frame : frames)
    text += frame.symbol.value_or("?") + "@" + frame.module.value_or("?") + "\n";
  return text;
}

std::string cohort_of(const ThreadTraits& traits) {
  return (traits.routine ? routine_text(*traits.routine) : "?") + "\n\n" + symbols_of(traits.created_at) +
         "\n\n" + symbols_of(traits.waits_in);
}

using Cohorts = std::vector<std::vector<json>>;

// In the order of their first threads, the largest first.
Cohorts cohorts_of(const std::vector<json>& threads) {
  std::map<std::string, size_t> position;
  Cohorts cohorts;
  for (const json& thread : threads) {
    const auto [found, is_new] = position.emplace(cohort_of(traits_of(thread)), cohorts.size());
    if (is_new) cohorts.emplace_back();
    cohorts[found->second].push_back(thread);
  }
  std::ranges::stable_sort(cohorts, std::ranges::greater(), [](const auto& cohort) { return cohort.size(); });
  return cohorts;
}

// Not escaped: a summary is as foreign as the names in it.
std::string name_of(const StartRoutine& routine) {
  if (routine.callable) return *routine.callable;
  if (routine.symbol) return *routine.symbol;
  return routine.module ? std::string(base_name(*routine.module)) : "code without a name";
}

// "begun in worker, made in start_pool".
std::string origin_text(const json& thread) {
  const ThreadTraits traits = traits_of(thread);
  std::string text;
  if (traits.routine) text += "begun in " + name_of(*traits.routine);
  const size_t first = first_creating_frame(traits.created_at);
  if (first < traits.created_at.size() && traits.created_at[first].symbol)
    text += (text.empty() ? "" : ", ") + ("made in " + *traits.created_at[first].symbol);
  return text.empty() ? "where they began is not known" : text;
}

std::string threads_text(size_t count) {
  return count == 1 ? "1 thread" : std::to_string(count) + " threads";
}

// A finding in the words of API.md.
json finding_of(const char* kind, const json& tree, const std::vector<json>& threads, size_t number) {
  const json& process = tree.at("process");
  const uint32_t pid = process.at("pid");
  json identity = json::object();
  for (const char* key : {"pid", "start_time", "comm", "exe", "cgroup", "container", "unit"})
    identity[key] = process.value(key, json());
  json finding{{"id", std::string(kind) + "-" + std::to_string(pid) + "-" + std::to_string(number)},
               {"kind", kind},
               {"severity", "warning"},
               {"certainty", "proven"},
               {"subject", "thread"},
               {"process", identity},
               {"count", threads.size()},
               {"chain", 0},
               {"threads", json::array()},
               {"first_seen", tree.value("as_of", json())},
               {"last_seen", tree.value("as_of", json())},
               {"since", nullptr},
               {"resolved", nullptr},
               {"resolution", nullptr}};
  for (const char* key : {"blocked_ns", "blocked_max_ns", "exactness"})
    finding[key] = threads.empty() ? json() : threads[0].value(key, json());
  for (const json& thread : threads) {
    if (finding["threads"].size() == kMostThreads) break;
    finding["threads"].push_back(thread);
    finding["threads"].back()["pid"] = pid;
    finding["threads"].back()["comm"] = process.value("comm", json());
    finding["threads"].back()["via"] = nullptr;
  }
  return finding;
}

std::string named(const json& tree) {
  const json& process = tree.at("process");
  return process.at("comm").get<std::string>() + " (" + std::to_string(process.at("pid").get<uint32_t>()) +
         ")";
}

// --- the kinds ---------------------------------------------------------------------------------------

void add_live(ProcessVerdict& verdict, const json& tree, const std::vector<json>& threads) {
  for (const std::vector<json>& cohort : cohorts_of(threads)) {
    json finding = finding_of("live_at_exit", tree, cohort, verdict.findings.size() + 1);
    finding["summary"] = named(tree) + ": " + threads_text(cohort.size()) + " still " +
                         (cohort.size() == 1 ? "lives" : "live") + " at its end, " + origin_text(cohort[0]);
    finding["evidence"] = {{"live_at_exit", cohort.size()}};
    finding["hint"] =
        "end and join such threads before the process ends; where they are meant to live on, leave them out "
        "with --ignore";
    verdict.findings.push_back(std::move(finding));
  }
}

// Where an ended thread was made, by the tree; its tid may have been in use twice: the last one ended then.
json created_by(const json& tree, const json& thread) {
  json found;
  if (!member(thread, "tid")) return found;
  for (const json& ended : tree.at("ended_threads"))
    if (ended.at("tid") == thread.at("tid") &&
        ended.value("ended_boottime_ns", json()) == thread.value("ended_boottime_ns", json()))
      found = ended.value("created_by", json());
  return found;
}

void add_unjoined(ProcessVerdict& verdict, const EndDocuments& documents, const CheckRules& rules) {
  const json& document = documents.unjoined;
  if (!document.is_object()) return;
  if (const json* failure = member(document, "failure")) {
    verdict.not_judged.push_back({{"kind", "unjoined"}, {"reason", *failure}});
    return;
  }
  std::vector<json> threads;
  for (json thread : document.at("threads")) {
    if (thread["name"].is_null()) thread["name"] = "";
    thread["state"] = "ended";
    for (const char* key : {"blocked_ns", "blocked_max_ns", "exactness"})
      thread[key] = nullptr;  // of no wait
    thread["stack"] = json::array();
    thread["created_by"] = created_by(documents.tree, thread);
    if (!left_out(traits_of(thread), rules, &verdict)) threads.push_back(std::move(thread));
  }
  for (const std::vector<json>& cohort : cohorts_of(threads)) {
    json finding = finding_of("unjoined", documents.tree, cohort, verdict.findings.size() + 1);
    finding["summary"] = named(documents.tree) + ": " + threads_text(cohort.size()) +
                         " ended and nobody joined " + (cohort.size() == 1 ? "it" : "them") + ", " +
                         origin_text(cohort[0]);
    uint64_t bytes = 0;
    for (const json& thread : cohort)
      bytes += thread.value("stack_bytes", json(0)).is_number() ? thread["stack_bytes"].get<uint64_t>() : 0;
    finding["evidence"] = {{"unjoined", cohort.size()}, {"stack_bytes", bytes}};
    finding["hint"] = "join each thread, or make it detached: until then its stack is not given back";
    verdict.findings.push_back(std::move(finding));
  }
}

// Left out where all its threads are.
bool is_left_out(const json& finding, const CheckRules& rules) {
  const json& threads = finding.at("threads");
  return !threads.empty() && std::ranges::all_of(threads, [&](const json& thread) {
    return is_ignored(traits_of(thread), rules.ignore);
  });
}

// What the daemon has found of it; the threads that it names are told there.
std::set<uint32_t> add_found(ProcessVerdict& verdict, const EndDocuments& documents,
                             const CheckRules& rules) {
  std::set<uint32_t> told;
  if (!documents.findings.is_object()) return told;
  for (const json& finding : documents.findings.at("findings")) {
    if (finding.at("severity") == "info" || finding.at("kind") == "unjoined") continue;
    // What went away before it ended is no fault of its end.
    if (finding.value("resolution", json()) == "cause_gone") continue;
    if (is_left_out(finding, rules)) {
      verdict.ignored += finding.at("count").get<uint64_t>();
      continue;
    }
    for (const json& thread : finding.at("threads"))
      if (thread.at("pid") == verdict.pid) told.insert(thread.at("tid").get<uint32_t>());
    verdict.findings.push_back(finding);
  }
  if (const json* open = member(documents.findings, "not_judged"))
    for (const json& item : *open)
      if (item.at("kind") != "leak") verdict.not_judged.push_back(item);  // growth is no matter of an end
  return told;
}

void add_timeout(ProcessVerdict& verdict, const EndDocuments& documents) {
  std::vector<json> threads;
  for (json thread : documents.tree.at("threads")) {
    add_stacks(thread, documents.stacks);
    threads.push_back(std::move(thread));
  }
  json finding = finding_of("timeout", documents.tree, threads, verdict.findings.size() + 1);
  finding["summary"] = named(documents.tree) + ": not done after " +
                       format_duration(documents.not_done_after_ns) + ", with " +
                       threads_text(threads.size());
  finding["evidence"] = {{"within_ns", documents.not_done_after_ns}};
  finding["hint"] = "see what its threads wait for; where it merely needs longer, give it more with --within";
  verdict.findings.push_back(std::move(finding));
}

}  // namespace

std::vector<json> live_threads(const EndDocuments& documents, const CheckRules& rules,
                               ProcessVerdict* verdict) {
  std::vector<json> threads;
  const uint32_t pid = documents.tree.at("process").at("pid");
  for (json thread : documents.tree.at("threads")) {
    if (!lives(thread, documents, pid)) continue;
    add_stacks(thread, documents.stacks);
    if (!left_out(traits_of(thread), rules, verdict)) threads.push_back(std::move(thread));
  }
  return threads;
}

bool waits_for_what_must_end(const json& thread) {
  const std::optional<Wait> wait = parse_wait(thread);
  return wait && (wait_class(*wait) == WaitClass::must_end || wait->kind == "join" || wait->kind == "futex");
}

ProcessVerdict judge_end(const EndDocuments& documents, const CheckRules& rules) {
  ProcessVerdict verdict;
  const json& process = documents.tree.at("process");
  read(process, "pid", verdict.pid);
  read(process, "comm", verdict.comm);
  verdict.end = documents.not_done_after_ns ? "not_done" : documents.exiting_tid ? "exit_group" : "not_seen";
  const std::set<uint32_t> told = add_found(verdict, documents, rules);
  if (documents.not_done_after_ns) add_timeout(verdict, documents);
  if (documents.exiting_tid) {
    std::vector<json> threads = live_threads(documents, rules, &verdict);
    std::erase_if(threads,
                  [&](const json& thread) { return told.contains(thread.at("tid").get<uint32_t>()); });
    add_live(verdict, documents.tree, threads);
  }
  add_unjoined(verdict, documents, rules);
  return verdict;
}

}  // namespace loiter::cli
