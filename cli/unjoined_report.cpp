#include "cli/unjoined_report.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/json_read.h"
#include "cli/model.h"
#include "cli/routine.h"
#include "cli/text_table.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::string counted(uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string size_text(const json& row) {
  const json* bytes = member(row, "stack_bytes");
  if (!bytes) return "?";
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  const auto value = bytes->get<double>();
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value >= kGiB ? "%.1f GiB" : "%.1f MiB",
                value / (value >= kGiB ? kGiB : kMiB));
  return text.data();
}

std::string age_text(const json& row) {
  const json* age = member(row, "age_ns");
  return age ? format_duration(age->get<uint64_t>()) + " ago" : "?";
}

void add_table(std::vector<std::string>& lines, const json& rows) {
  TextTable table;
  table.add_column("THREADS", true);
  table.add_column("STACKS", true);
  table.add_column("FIRST ENDED", true);
  table.add_column("START");
  for (const json& row : rows) {
    const auto routine = parse_routine(row);
    table.add_row({std::to_string(row.at("count").get<uint64_t>()), size_text(row), age_text(row),
                   routine ? routine_text(*routine) : "?"});
  }
  for (std::string& line : table.lines()) lines.push_back(std::move(line));
}

void add_zombies(std::vector<std::string>& lines, const json& zombies) {
  if (zombies.empty()) return;
  const bool one = zombies.size() == 1;
  lines.push_back(std::to_string(zombies.size()) + (one ? " child process" : " child processes") +
                  " ended and nobody waited for " + (one ? "it:" : "them:"));
  TextTable table;
  table.add_column("PID", true);
  table.add_column("NAME");
  table.add_column("ENDED", true);
  for (const json& row : zombies)
    table.add_row({std::to_string(row.at("pid").get<uint32_t>()),
                   escape_for_terminal(row.at("comm").get<std::string>()), age_text(row)});
  for (std::string& line : table.lines()) lines.push_back(std::move(line));
}

// "the others: 12 joinable and running, 3 detached, 1 being joined".
std::string others_text(const json& document) {
  std::string text;
  const auto add = [&](const char* key, const std::string& words) {
    uint64_t count = 0;
    read(document, key, count);
    if (count) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + words;
  };
  add("live_joinable", "alive and joinable");
  add("detached", "alive and detached");
  add("joining", "being joined now");
  add("unclear", "not clear");
  return text;
}

std::string probes_text(const json& probes) {
  const auto count = [&](const char* key) { return std::to_string(probes.at(key).get<uint64_t>()); };
  std::string text = "uprobes since " + escape_for_terminal(probes.at("since").get<std::string>()) + ": " +
                     count("created") + " made, " + count("joined") + " joined, " + count("detached") +
                     " detached and ended, " + count("unjoined") + " ended unjoined";
  if (probes.at("undecided") != 0)
    text += ", " + count("undecided") + " in a join that may have run out of time";
  return text;
}

}  // namespace

std::vector<std::string> unjoined_lines(const json& document) {
  const ProcessRow process = parse_process(document.at("process"));
  const std::string who = std::to_string(process.pid) + " " + escape_for_terminal(process.comm);
  std::vector<std::string> lines;
  if (const json* failure = member(document, "failure")) {
    lines.push_back(who + ": which threads were never joined cannot be told: " +
                    escape_for_terminal(failure->get<std::string>()));
  } else {
    const auto count = document.at("unjoined").get<uint64_t>();
    if (count == 0)
      lines.push_back(who + ": no thread has ended unjoined");
    else
      lines.push_back(who + ": " + counted(count, "thread") + " ended and nobody joined " +
                      (count == 1 ? "it" : "them") + ", stacks " + size_text(document));
    if (count) add_table(lines, document.at("by_routine"));
    if (const std::string others = others_text(document); !others.empty())
      lines.push_back("the others: " + others);
  }
  if (const json* probes = member(document, "probes")) lines.push_back(probes_text(*probes));
  add_zombies(lines, document.at("zombies"));
  for (const json& finding : document.at("findings"))
    if (const json* hint = member(finding, "hint"))
      lines.push_back("hint: " + escape_for_terminal(hint->get<std::string>()));
  return lines;
}

}  // namespace loiter::cli
