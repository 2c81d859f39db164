#include "cli/thread_tree.h"

#include <algorithm>

#include "cli/text_table.h"
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

void add_live(TextTable& table, const ThreadRow& row, const std::string& branch) {
  table.add_row({branch + std::to_string(row.tid) + " " + escape_for_terminal(row.name),
                 escape_for_terminal(row.state), format_age(row.age, true), row.overdue ? "OVERDUE" : "",
                 escape_for_terminal(row.syscall.value_or("")), format_duration(row.cpu_ns),
                 format_duration(row.lived_ns)});
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

std::vector<std::string> tree_lines(const Tree& tree, Glyphs glyphs, bool with_ended) {
  std::vector<std::string> lines{heading(tree)};
  const std::vector<Creator> creators = creators_of(tree.threads);
  if (!tree.threads.empty()) {
    TextTable table;
    table.add_column("TID NAME");
    table.add_column("STATE");
    table.add_column("BLOCKED", true);
    table.add_column("");
    table.add_column("SYSCALL");
    table.add_column("CPU-TIME", true);
    table.add_column("LIVED", true);
    for (const TreeLine& line : layout_tree(creators, glyphs))
      add_live(table, tree.threads[line.index], line.branch);
    for (std::string& line : table.lines()) lines.push_back(std::move(line));
  }
  add_legend(lines, tree.threads, creators, glyphs);
  if (with_ended) add_ended(lines, tree);
  return lines;
}

}  // namespace loiter::cli
