#include "cli/thread_tree.h"

#include <algorithm>

#include "cli/text_table.h"
#include "cli/wait_text.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

std::string heading(const Tree& tree) {
  const ProcessRow& process = tree.process;
  std::string line = std::to_string(process.pid) + " " + escape_for_terminal(process.comm);
  if (!process.exe.empty()) line += "  " + escape_for_terminal(process.exe);
  if (process.unit) line += "  unit " + escape_for_terminal(*process.unit);
  line += "  " + std::to_string(tree.threads.size()) + (tree.threads.size() == 1 ? " thread" : " threads");
  const auto overdue = std::ranges::count_if(tree.threads, [](const ThreadRow& row) { return row.overdue; });
  line += ", " + std::to_string(overdue) + " overdue (past " + format_duration(tree.threshold_ns) + ")";
  if (process.ended) line += "  ENDED at " + escape_for_terminal(*process.ended);
  return line;
}

// What it waits for, in words; of a daemon that does not tell, the system call that it is in.
std::string wait_of(const ThreadRow& row, std::optional<size_t> columns) {
  if (row.wait) return columns ? wait_text_within(*row.wait, *columns) : wait_text(*row.wait);
  const std::string syscall = escape_for_terminal(row.syscall.value_or(""));
  return columns && display_width(syscall) > *columns ? fit_columns(syscall, *columns) : syscall;
}

// How much a table of threads holds: all of it at first, less where it is too wide.
struct Shape {
  bool lived = true, cpu_time = true, range = true, start = true;
  std::optional<size_t> wait = {};     // columns that WAIT may take
  std::optional<size_t> routine = {};  // and START
};

std::string start_of(const ThreadRow& row, std::optional<size_t> columns) {
  const std::string text = row.routine ? routine_text(*row.routine) : std::string();
  return columns && display_width(text) > *columns ? fit_columns(text, *columns) : text;
}

using Sites = std::map<uint32_t, std::string>;

std::vector<std::string> live_lines(const Tree& tree, const std::vector<TreeLine>& order, const Shape& shape,
                                    const Sites* sites) {
  TextTable table;
  table.add_column("TID NAME");
  table.add_column("STATE");
  table.add_column("BLOCKED", true);
  table.add_column("");
  table.add_column("WAIT");
  if (shape.start) table.add_column("START");
  if (shape.cpu_time) table.add_column("CPU-TIME", true);
  if (shape.lived) table.add_column("LIVED", true);
  if (sites) table.add_column("MADE AT");
  for (const TreeLine& line : order) {
    const ThreadRow& row = tree.threads[line.index];
    std::vector<std::string> cells{
        line.branch + std::to_string(row.tid) + " " + escape_for_terminal(row.name),
        escape_for_terminal(row.state), format_age(row.age, shape.range), row.overdue ? "OVERDUE" : "",
        wait_of(row, shape.wait)};
    if (shape.start) cells.push_back(start_of(row, shape.routine));
    if (shape.cpu_time) cells.push_back(format_duration(row.cpu_ns));
    if (shape.lived) cells.push_back(format_duration(row.lived_ns));
    if (sites) {
      const auto site = sites->find(row.tid);
      cells.push_back(site != sites->end() ? site->second : "");
    }
    table.add_row(std::move(cells));
  }
  return table.lines();
}

// A daemon that has not looked, or a process of one thread: no column for nothing.
bool tells_starts(const Tree& tree) {
  return std::ranges::any_of(tree.threads, [](const ThreadRow& row) { return row.routine.has_value(); });
}

size_t width_of(const std::vector<std::string>& lines) {
  size_t width = 0;
  for (const std::string& line : lines) width = std::max(width, display_width(line));
  return width;
}

// The first shape that is no wider than `columns`; what is left of the last one goes to the waits.
std::vector<std::string> fitted_lines(const Tree& tree, const std::vector<TreeLine>& order, size_t columns,
                                      const Sites* sites) {
  constexpr size_t kWait = 32, kLeastWait = 16, kStart = 24;  // of the columns
  std::vector<std::string> lines;
  const bool start = tells_starts(tree);
  for (Shape shape :
       {Shape{}, Shape{.wait = kWait, .routine = kStart},
        Shape{.lived = false, .wait = kWait, .routine = kStart},
        Shape{.lived = false, .cpu_time = false, .wait = kWait, .routine = kStart},
        Shape{.start = false, .wait = kWait}, Shape{.lived = false, .start = false, .wait = kWait},
        Shape{.lived = false, .cpu_time = false, .start = false, .wait = kWait}}) {
    shape.start = shape.start && start;
    lines = live_lines(tree, order, shape, sites);
    if (width_of(lines) <= columns) return lines;
  }
  Shape least{.lived = false, .cpu_time = false, .range = false, .start = false, .wait = 0};
  const size_t others = std::max(width_of(live_lines(tree, order, least, sites)), size_t{4}) - 4;  // "WAIT"
  least.wait = std::max(columns - std::min(columns, others), kLeastWait);
  return live_lines(tree, order, least, sites);
}

// What the dashed branches mean, for those that occur.
void add_legend(std::vector<std::string>& lines, const std::vector<ThreadRow>& threads,
                const std::vector<Creator>& creators, Glyphs glyphs) {
  size_t not_known = 0;
  std::vector<std::string> ended;
  constexpr size_t kNamed = 10;
  for (size_t i = 0; i < creators.size(); ++i) {
    not_known += creators[i].known == Creator::Known::no;
    if (creators[i].known == Creator::Known::ended)
      ended.push_back(std::to_string(threads[i].tid) + " by " + std::to_string(*threads[i].parent_tid));
  }
  const std::string mark = glyphs == Glyphs::unicode ? "├┄" : "|.";
  if (not_known > 0)
    lines.push_back(mark + " creator not known (" + std::to_string(not_known) +
                    (not_known == 1 ? " thread" : " threads") + " born before the daemon looked)");
  if (ended.empty()) return;
  std::string line = mark + " creator ended:";
  for (size_t i = 0; i < ended.size() && i < kNamed; ++i) line += (i == 0 ? " " : ", ") + ended[i];
  if (ended.size() > kNamed) line += " and " + std::to_string(ended.size() - kNamed) + " more";
  lines.push_back(line);
}

void add_ended(std::vector<std::string>& lines, const Tree& tree) {
  lines.push_back("");
  if (tree.ended_threads.empty()) {
    lines.push_back("no ended threads are kept");
  } else {
    TextTable table;
    for (const char* header : {"ENDED", "NAME", "CREATOR", "AT"}) table.add_column(header);
    table.add_column("LIVED", true);
    table.add_column("CPU-TIME", true);
    for (const ThreadRow& row : tree.ended_threads) {
      const bool exact = row.age.exactness == Exactness::exact;
      table.add_row({std::to_string(row.tid), escape_for_terminal(row.name),
                     row.parent_tid ? std::to_string(*row.parent_tid) : "?",
                     (exact ? "" : "~") + escape_for_terminal(row.ended.value_or("?")),
                     (exact ? "" : "~") + format_duration(row.lived_ns), format_duration(row.cpu_ns)});
    }
    for (std::string& line : table.lines()) lines.push_back(std::move(line));
  }
  if (tree.ended_dropped > 0)
    lines.push_back(std::to_string(tree.ended_dropped) +
                    " more ended threads were forgotten to stay within bounds");
}

}  // namespace

std::vector<std::string> tree_lines(const Tree& tree, Glyphs glyphs, bool with_ended,
                                    std::optional<size_t> columns,
                                    const std::map<uint32_t, std::string>* sites) {
  std::vector<std::string> lines{heading(tree)};
  const std::vector<Creator> creators = creators_of(tree.threads);
  if (!tree.threads.empty()) {
    const std::vector<TreeLine> order = layout_tree(creators, glyphs);
    for (std::string& line : columns ? fitted_lines(tree, order, *columns, sites)
                                     : live_lines(tree, order, Shape{.start = tells_starts(tree)}, sites))
      lines.push_back(std::move(line));
  }
  add_legend(lines, tree.threads, creators, glyphs);
  if (with_ended) add_ended(lines, tree);
  return lines;
}

}  // namespace loiter::cli
