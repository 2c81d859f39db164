#include "cli/process_table.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <unordered_map>

#include "cli/columns.h"
#include "cli/target.h"
#include "cli/text_table.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

// Between the two censuses of a private daemon, which works out what happens a second once a second.
constexpr std::chrono::milliseconds kBetweenCensuses{1000};

std::string rate(double value) {
  std::array<char, 32> buffer;
  snprintf(buffer.data(), buffer.size(), "%.1f", value);
  return buffer.data();
}

}  // namespace

Result<json> fetch_processes(Client& client, std::optional<uint64_t> threshold_ns, bool findings) {
  const std::string target = Target("/v1/processes")
                                 .with("fresh", 1)
                                 .with("threshold_ns", threshold_ns)
                                 .with("findings", findings ? std::optional<uint64_t>(1) : std::nullopt)
                                 .text();
  Result<json> document = client.get(target);
  if (!document || !client.is_private()) return document;
  std::this_thread::sleep_for(kBetweenCensuses);
  return client.get(target);
}

Status arrange_processes(json& document, const std::string& sort, std::optional<uint64_t> limit) {
  Result<ProcessList> list = parse_process_list(document);
  if (!list) return list.error();
  const ProcessColumn* column = find_column(process_columns(), sort);
  if (!column) return Error{Error::Kind::usage, "there is no column '" + sort + "'"};
  std::unordered_map<uint32_t, json*> by_pid;
  json& processes = document["processes"];
  for (size_t i = 0; i < processes.size(); ++i) by_pid[list->processes[i].pid] = &processes[i];
  sort_rows(list->processes, *column);
  if (limit && *limit < list->processes.size()) list->processes.resize(*limit);
  json arranged = json::array();
  for (const ProcessRow& row : list->processes) arranged.push_back(std::move(*by_pid[row.pid]));
  processes = std::move(arranged);
  return ok();
}

std::vector<std::string> process_lines(const std::vector<ProcessRow>& processes) {
  TextTable table;
  for (const ProcessColumn& column : process_columns()) table.add_column(column.header, column.right_aligned);
  for (const ProcessRow& row : processes) {
    std::vector<std::string> cells;
    for (const ProcessColumn& column : process_columns()) cells.push_back(column.text(row));
    table.add_row(std::move(cells));
  }
  return table.lines();
}

std::string host_summary(const HostLine& host) {
  return escape_for_terminal(host.name) + ": " + std::to_string(host.threads) + " threads in " +
         std::to_string(host.processes) + " processes, " + std::to_string(host.blocked) + " blocked, " +
         std::to_string(host.overdue) + " overdue (past " + format_duration(host.threshold_ns) + "); born " +
         rate(host.born_per_s) + "/s, ended " + rate(host.ended_per_s) + "/s; census " +
         format_duration(host.census_ns) + "; losses " + std::to_string(host.losses_total);
}

}  // namespace loiter::cli
