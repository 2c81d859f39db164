#include "cli/top/process_rows.h"

#include <algorithm>

#include "cli/top/text.h"
#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

std::vector<cli::ProcessRow> by_pid(std::vector<cli::ProcessRow> rows) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return rows;
}

}  // namespace

ProcessRows::ProcessRows(const cli::ProcessList& list)
    : ColumnRows(cli::process_columns(), by_pid(list.processes)) {}

RowId ProcessRows::id(uint32_t row) const {
  return {rows_[row].pid, rows_[row].start_boottime_ns};
}

Style ProcessRows::style(uint32_t row, size_t column) const {
  std::string_view name = columns_[column].name;
  const cli::ProcessRow& process = rows_[row];
  if (name == "overdue") return process.overdue ? Style::overdue : Style::quiet;
  if (name == "oldest" && process.overdue) return Style::overdue;
  if (name == "finding" && process.finding) return style_of(*process.finding);
  if (name == "comm") return process.kernel ? Style::quiet : Style::strong;
  return Style::normal;
}

bool ProcessRows::matches(uint32_t row, std::string_view needle) const {
  const cli::ProcessRow& process = rows_[row];
  auto holds = [&](const std::string& text) { return contains(escape_for_terminal(text), needle); };
  auto may_hold = [&](const std::optional<std::string>& text) { return text && holds(*text); };
  if (holds(process.comm) || contains(std::to_string(process.pid), needle) || holds(process.exe) ||
      holds(process.cgroup) || may_hold(process.unit) || may_hold(process.container))
    return true;
  if (process.finding && holds(process.finding->kind)) return true;
  const auto& oldest = process.oldest_blocked;
  return oldest && (holds(oldest->name) || may_hold(oldest->syscall));
}

}  // namespace loiter::top
