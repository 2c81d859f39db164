#include "cli/check/look.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "cli/chain_model.h"
#include "cli/json_read.h"
#include "cli/model.h"
#include "cli/stack_model.h"
#include "cli/target.h"
#include "cli/why_text.h"

namespace loiter::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// A deadlock is found in the second census in which it stands unchanged: so long until a wait for a lock is
// judged, and no longer than the second.
constexpr uint64_t kSettledNs = 2'500'000'000;
constexpr milliseconds kMostSettling{8000};
// A thread that ran when it was looked at may have been about to end: so many looks have to see it.
constexpr int kLooksAtRunning = 3;
constexpr milliseconds kBetweenLooks{50};
// And so many wait for creation sites, at most.
constexpr int kLooksForSites = 30;

std::string path_of(uint32_t pid) {
  return "/v1/processes/" + std::to_string(pid);
}

uint64_t age_of(const json& thread) {
  const json* blocked = member(thread, "blocked_ns");
  return blocked ? blocked->get<uint64_t>() : 0;
}

bool names(const json& findings, const json& thread) {
  return std::ranges::any_of(findings.at("findings"), [&](const json& finding) {
    return std::ranges::any_of(finding.at("threads"),
                               [&](const json& other) { return other.at("tid") == thread.at("tid"); });
  });
}

// Its creator's stack is still being unwound.
bool has_pending_site(const json& thread) {
  const json* creator = member(thread, "created_by");
  return creator && creator->value("missing", json()) == "pending";
}

bool runs(const json& thread) {
  return thread.at("state") == "running" || thread.at("state") == "runnable";
}

// PF_EXITING of linux/sched.h, in the ninth field of /proc/PID/task/TID/stat.
bool is_ending(const std::string& stat) {
  constexpr unsigned long kExiting = 4;
  const size_t name_end = stat.rfind(')');
  if (name_end == stat.npos) return false;
  const char* at = stat.c_str() + name_end + 1;
  for (int field = 0; field < 6 && at; ++field) at = strchr(at + 1, ' ');  // to the blank before "flags"
  return at && (strtoul(at, nullptr, 10) & kExiting);
}

}  // namespace

std::set<uint32_t> ending_threads(uint32_t pid) {
  std::set<uint32_t> ending;
  const std::string directory = "/proc/" + std::to_string(pid) + "/task";
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(opendir(directory.c_str()), closedir);
  while (const dirent* entry = tasks ? readdir(tasks.get()) : nullptr) {
    uint32_t tid = 0;
    const char* end = entry->d_name + strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, tid).ptr != end) continue;
    std::ifstream file(directory + "/" + entry->d_name + "/stat");
    const std::string stat(std::istreambuf_iterator<char>(file), {});
    if (stat.empty() || is_ending(stat)) ending.insert(tid);  // empty: it has gone meanwhile
  }
  return ending;
}

Status EndLook::begin_judging() {
  judges_ = true;
  Result<json> document = client_.get("/v1/findings?fresh=1&pid=1");
  return document ? ok() : Status(document.error());
}

// Those that have ended are asked for only where one is to be told: of a command that has made a thousand
// threads a second, two trees with all of them took 1.1 s.
Result<json> EndLook::fetch_tree(uint32_t pid, bool ended) {
  return client_.get(Target(path_of(pid)).with("origins", 1).with("fresh", 1).with("ended", ended).text());
}

Result<size_t> EndLook::count_live(const HeldExit& held) {
  Result<json> tree = fetch_tree(held.pid);
  if (!tree) return tree.error();
  try {
    EndDocuments documents{.tree = *tree, .exiting_tid = held.tid, .ending = ending_threads(held.pid)};
    if (live_threads(documents, rules_, nullptr).empty()) return size_t{0};
    // Some runtimes are known by stacks alone.
    if (Result<json> stacks = client_.get(Target(path_of(held.pid) + "/stacks").with("lines", 0).text()))
      documents.stacks = *stacks;
    return live_threads(documents, rules_, nullptr).size();
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

std::optional<bool> EndLook::is_plain(const HeldExit& held) {
  // A directory has two links, and one for each in it.
  struct stat tasks {};
  if (stat(("/proc/" + std::to_string(held.pid) + "/task").c_str(), &tasks) || tasks.st_nlink > 3)
    return std::nullopt;
  Result<json> origins = client_.get(path_of(held.pid) + "/origins");
  if (!origins) return false;
  return origins->value("births", json()) == 0 ? std::optional(true) : std::nullopt;
}

// Until the daemon has judged what `threads` wait for, or cannot.
Status EndLook::fetch_findings(EndDocuments& documents, const std::vector<json>& threads) {
  const uint32_t pid = documents.tree.at("process").at("pid");
  const auto end = Clock::now() + kMostSettling;
  // How long those have waited that may be in a deadlock, when they were looked at.
  std::vector<json> waiting;
  std::ranges::copy_if(threads, std::back_inserter(waiting), waits_for_what_must_end);
  const auto looked = Clock::now();
  while (true) {
    Result<json> findings = client_.get(Target("/v1/findings").with("pid", pid).with("fresh", 1).text());
    if (!findings) return findings.error();
    documents.findings = *findings;
    const auto since = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - looked).count());
    const bool open = std::ranges::any_of(waiting, [&](const json& thread) {
      return !names(*findings, thread) && age_of(thread) + since < kSettledNs;
    });
    if (!open || Clock::now() > end) return ok();
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

// Where the process is gone or cannot be looked into, threads are told without.
void EndLook::fetch_stacks(EndDocuments& documents) {
  const uint32_t pid = documents.tree.at("process").at("pid");
  if (Result<json> stacks = client_.get(path_of(pid) + "/stacks")) documents.stacks = *stacks;
}

// Those that ended just now may have been made a moment before: their sites come with a later census.
void EndLook::fetch_unjoined(EndDocuments& documents) {
  const uint32_t pid = documents.tree.at("process").at("pid");
  Result<json> unjoined = client_.get(path_of(pid) + "/unjoined");
  documents.unjoined = unjoined ? *unjoined : json{{"failure", unjoined.error().message}};
  const json* count = member(documents.unjoined, "unjoined");
  if (!count || *count == 0) return;
  for (int look = 1; look <= kLooksForSites; ++look) {
    if (look > 1) std::this_thread::sleep_for(kBetweenLooks);
    const Result<json> tree = fetch_tree(pid, true);
    if (!tree) return;
    documents.tree["ended_threads"] = tree->at("ended_threads");
    if (std::ranges::none_of(tree->at("ended_threads"), has_pending_site)) return;
  }
}

Result<ProcessVerdict> EndLook::at_end(const HeldExit& held) {
  try {
    EndDocuments documents{.exiting_tid = held.tid};
    std::vector<json> live;
    for (int look = 1; look <= kLooksForSites; ++look) {
      Result<json> tree = fetch_tree(held.pid);
      if (!tree) return tree.error();
      documents.tree = *tree;
      documents.ending = ending_threads(held.pid);
      live = live_threads(documents, rules_, nullptr);
      const bool again = look < kLooksAtRunning && std::ranges::any_of(live, runs);
      if (!again && std::ranges::none_of(live, has_pending_site)) break;
      std::this_thread::sleep_for(kBetweenLooks);
    }
    if (!live.empty()) {
      if (Status found = fetch_findings(documents, live); !found) return found.error();
    } else if (judges_) {
      // Nothing of it waits any more: what was found last is as good, and costs no verdict on the whole host.
      if (Result<json> findings = client_.get(Target("/v1/findings").with("pid", held.pid).text()))
        documents.findings = *findings;
    }
    fetch_unjoined(documents);
    if (!live.empty()) fetch_stacks(documents);
    return judge_end(documents, rules_);
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

Result<ProcessVerdict> EndLook::not_seen(uint32_t pid, const std::string& comm) {
  EndDocuments documents;
  documents.tree = {{"process", {{"pid", pid}, {"comm", comm}}}};
  // Nobody has judged before: it ran for less than a deadlock takes to be found.
  if (judges_) {
    Result<json> findings =
        client_.get(Target("/v1/findings").with("pid", pid).with("fresh", 1).with("resolved", 1).text());
    if (!findings) return findings.error();
    documents.findings = *findings;
  }
  try {
    return judge_end(documents, rules_);
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

std::string EndLook::why(const json& tree_document) {
  Result<Tree> tree = parse_tree(tree_document);
  if (!tree) return "";
  Result<json> chains_document = client_.get(path_of(tree->process.pid) + "/chains");
  if (!chains_document) return "";
  Result<Chains> chains = parse_chains(*chains_document);
  if (!chains) return "";
  const Root root = find_root(*tree, *chains);
  std::optional<Stacks> stacks;
  const StackThread* thread = nullptr;
  std::string why_none;
  if (root.pid && root.tid) {
    Result<json> document = client_.get(Target(path_of(root.pid) + "/stacks").with("tid", root.tid).text());
    Result<Stacks> parsed = document ? parse_stacks(*document) : Result<Stacks>(document.error());
    if (parsed)
      stacks = std::move(*parsed);
    else
      why_none = parsed.error().message;
  }
  if (stacks)
    for (const StackThread& each : stacks->threads)
      if (each.tid == root.tid) thread = &each;
  return why_text(*tree, *chains, root, thread, why_none);
}

Result<ProcessVerdict> EndLook::not_done(uint32_t pid, uint64_t within_ns) {
  try {
    EndDocuments documents{.not_done_after_ns = within_ns};
    Result<json> tree = fetch_tree(pid);
    if (!tree) return tree.error();
    documents.tree = *tree;
    std::vector<json> threads(tree->at("threads").begin(), tree->at("threads").end());
    if (Status found = fetch_findings(documents, threads); !found) return found.error();
    fetch_stacks(documents);
    fetch_unjoined(documents);
    ProcessVerdict verdict = judge_end(documents, rules_);
    verdict.why = why(*tree);
    return verdict;
  } catch (const std::exception& broken) {
    return not_understood(broken);
  }
}

Result<std::vector<uint32_t>> EndLook::family(uint32_t pid) {
  Result<json> document = client_.get("/v1/processes?fresh=1");
  if (!document) return document.error();
  Result<ProcessList> list = parse_process_list(*document);
  if (!list) return list.error();
  std::vector<uint32_t> family{pid};
  for (size_t i = 0; i < family.size(); ++i)
    for (const ProcessRow& process : list->processes)
      if (process.parent_pid == family[i] && !process.ended &&
          std::ranges::find(family, process.pid) == family.end())
        family.push_back(process.pid);
  return family;
}

}  // namespace loiter::cli
