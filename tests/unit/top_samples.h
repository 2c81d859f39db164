// Pictures and keys for the tests of `loiter top`.
//
// Pure functions, any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/top/app.h"
#include "tests/unit/units.h"

namespace loiter::top::test {

inline cli::ProcessRow process(uint32_t pid, const std::string& comm, uint64_t blocked_s,
                               uint64_t overdue = 0) {
  cli::ProcessRow row;
  row.pid = pid;
  row.comm = comm;
  row.start_boottime_ns = pid * kSecond;
  row.thread_count = 1;
  row.blocked = 1;
  row.overdue = overdue;
  row.oldest_blocked = cli::OldestBlocked{
      pid, comm, "sleeping", {blocked_s * kSecond, blocked_s * kSecond, cli::Exactness::exact}, "futex"};
  return row;
}

inline cli::ThreadRow thread(uint32_t tid, std::optional<uint32_t> creator, const std::string& name,
                             uint64_t born_s, uint64_t blocked_s = 1) {
  cli::ThreadRow row;
  row.tid = tid;
  row.parent_tid = creator;
  row.name = name;
  row.state = "sleeping";
  row.born_boottime_ns = born_s * kSecond;
  row.age = {blocked_s * kSecond, blocked_s * kSecond, cli::Exactness::exact};
  row.syscall = "futex";
  return row;
}

inline cli::ThreadRow ended(cli::ThreadRow row, uint64_t at_s) {
  row.ended = "2026-11-21T06:18:04.000000001Z";
  row.ended_boottime_ns = at_s * kSecond;
  row.age = {};
  return row;
}

inline Reply list_reply(std::vector<cli::ProcessRow> processes, uint64_t at_s = 100) {
  auto list = std::make_shared<cli::ProcessList>();
  list->as_of = "2026-11-21T06:44:17.000000001Z";
  list->as_of_boottime_ns = at_s * kSecond;
  list->host = {"devbox", processes.size(), 33, 7, 2, 12.0, 11.5, 13'200'000, 0, 30 * kSecond};
  list->processes = std::move(processes);
  return {Request{}, list, nullptr, std::nullopt};
}

inline Reply tree_reply(const cli::ProcessRow& process, std::vector<cli::ThreadRow> threads,
                        uint64_t at_s = 100, std::vector<cli::ThreadRow> ended_threads = {}) {
  auto tree = std::make_shared<cli::Tree>();
  tree->as_of = "2026-11-21T06:44:17.000000001Z";
  tree->as_of_boottime_ns = at_s * kSecond;
  tree->process = process;
  tree->threads = std::move(threads);
  tree->ended_threads = std::move(ended_threads);
  return {Request{process.pid}, nullptr, tree, std::nullopt};
}

inline Reply error_reply(uint32_t pid, const std::string& message) {
  return {Request{pid}, nullptr, nullptr, Error{Error::Kind::unavailable, message}};
}

inline std::vector<std::string> text_of(const std::vector<Line>& lines) {
  std::vector<std::string> text;
  for (const Line& line : lines) text.push_back(line.text());
  return text;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Types `text`, a key for each character.
template <typename Target>
void type(Target& target, std::string_view text) {
  for (char c : text) target.on_key(key_of(static_cast<char32_t>(c)));
}

}  // namespace loiter::top::test
