// Findings and numbers of threads for the tests of the history, put together by hand.
//
// Pure functions, any thread.
#pragma once

#include <string>

#include "daemon/history/types.h"
#include "tests/unit/pictures.h"

namespace loiter::test {

constexpr uint64_t kSecondNs = 1'000'000'000;

inline KeptFindingPtr made_finding(const std::string& id, uint32_t pid = 10,
                                   uint64_t first_boot_ns = kSecondNs) {
  auto kept = std::make_shared<KeptFinding>();
  Finding& finding = kept->finding;
  finding.id = id;
  finding.kind = FindingKind::deadlock;
  finding.severity = Severity::critical;
  finding.certainty = Certainty::proven;
  finding.process = {
      .key = {pid, 5}, .parent_pid = 1, .uid = 7, .comm = "api", .exe = "/usr/bin/api", .cgroup = "/x"};
  finding.count = 2;
  finding.chain = 1;
  finding.since_boot_ns = 77;
  finding.evidence = {{"cycle", uint64_t{2}}, {"slope", 1.5}, {"limit", std::string("pids.max")}};
  finding.summary = "two wait\xff";
  finding.hint = "hint";
  finding.rule_line = 3;
  finding.rule_reason = "reason";
  FindingThread& thread = finding.threads.emplace_back();
  thread.pid = pid;
  thread.key = {11, 6};
  thread.name = "worker";
  thread.comm = "api";
  thread.syscall = -1;
  thread.blocked_ns = 9 * kSecondNs;
  thread.exactness = Exactness::estimated;
  thread.via = "lock";
  thread.cut = "cut";
  SiteFrame frame;
  frame.symbol = "culprit";
  frame.module = "/usr/bin/api";
  frame.offset = 42;
  frame.file = "api.cpp";
  frame.line = 9;
  thread.stack = {frame};
  thread.routine = frame;
  thread.callable = "run()";
  thread.creator = {10, 5};
  auto site = std::make_shared<SiteStack>();
  site->frames = {frame};
  thread.site = site;
  Wait& wait = thread.wait.emplace();
  wait.kind = WaitKind::lock;
  wait.object = "0x55";
  wait.detail = "pthread_mutex_t";
  wait.is_private = true;
  wait.holder = {HolderState::alive, 21, 20};
  wait.bounded = false;
  wait.peers = {{30, 4}};
  kept->first_boot_ns = first_boot_ns;
  kept->last_boot_ns = first_boot_ns + kSecondNs;
  kept->told_boot_ns = first_boot_ns;
  kept->told_count = 2;
  return kept;
}

inline CountRow made_row(uint32_t pid, uint32_t live, uint64_t births = 0) {
  CountRow row;
  row.process = {pid, 5};
  row.comm = "api";
  row.exe = "/usr/bin/api";
  row.cgroup = "/system.slice/api.service";
  row.live = row.least = row.most = live;
  row.births = births;
  return row;
}

}  // namespace loiter::test
