#include "cli/top/thread_rows.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "cli/top/text.h"
#include "cli/wait_text.h"
#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

// The leader first, then by birth: a thread is never older than who created it.
std::vector<cli::ThreadRow> by_birth(const cli::Tree& tree) {
  std::vector<cli::ThreadRow> rows = tree.threads;
  for (cli::ThreadRow row : tree.ended_threads) {
    row.state = "ended";
    rows.push_back(std::move(row));
  }
  auto rank = [&](const cli::ThreadRow& row) {
    bool leader = row.tid == tree.process.pid && !row.ended;
    return std::tuple(!leader, row.born_boottime_ns, row.tid);
  };
  std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return rows;
}

// Tids are used again: the creator is the latest before that bore the tid, if it lived at that time.
std::vector<uint32_t> creators(const std::vector<cli::ThreadRow>& rows) {
  std::vector<uint32_t> parents(rows.size(), kNoRow);
  std::unordered_map<uint32_t, uint32_t> latest;
  for (uint32_t row = 0; row < rows.size(); ++row) {
    if (row > 0) parents[row] = 0;
    auto found = rows[row].parent_tid ? latest.find(*rows[row].parent_tid) : latest.end();
    if (found != latest.end()) {
      const cli::ThreadRow& creator = rows[found->second];
      if (!creator.ended || creator.ended_boottime_ns >= rows[row].born_boottime_ns)
        parents[row] = found->second;
    }
    latest[rows[row].tid] = row;
  }
  return parents;
}

}  // namespace

ThreadRows::ThreadRows(const cli::Tree& tree)
    : ColumnRows(cli::thread_columns(), by_birth(tree)), parents_(creators(rows_)) {}

RowId ThreadRows::id(uint32_t row) const {
  return {rows_[row].tid, rows_[row].born_boottime_ns};
}

Style ThreadRows::style(uint32_t row, size_t column) const {
  std::string_view name = columns_[column].name;
  const cli::ThreadRow& thread = rows_[row];
  if (name == "finding" && thread.finding) return style_of(*thread.finding);
  if (thread.ended) return Style::quiet;
  if (thread.overdue && (name == "overdue" || name == "blocked")) return Style::overdue;
  return name == "name" ? Style::strong : Style::normal;
}

bool ThreadRows::matches(uint32_t row, std::string_view needle) const {
  const cli::ThreadRow& thread = rows_[row];
  return contains(escape_for_terminal(thread.name), needle) || contains(std::to_string(thread.tid), needle) ||
         contains(thread.state, needle) || (thread.syscall && contains(*thread.syscall, needle)) ||
         (thread.wait && contains(cli::wait_text(*thread.wait), needle)) ||
         (thread.finding && contains(thread.finding->kind, needle)) ||
         (thread.overdue && contains("overdue", needle));
}

}  // namespace loiter::top
