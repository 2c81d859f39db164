#include "cli/top/thread_view.h"

#include <algorithm>

#include "cli/top/finding_view.h"
#include "cli/top/host_line.h"
#include "cli/top/origin_view.h"
#include "daemon/base/bytes.h"

namespace loiter::top {

ThreadView::ThreadView(const cli::ProcessRow& process)
    : TableView(Table(headings_of(cli::thread_columns()), column_named(cli::thread_columns(), "blocked"),
                      column_named(cli::thread_columns(), "name"))),
      process_(process) {
  table_.set_tree(true);
}

std::vector<Span> ThreadView::title() const {
  std::vector<Span> parts{
      {std::to_string(process_.pid) + " " + escape_for_terminal(process_.comm), Style::strong}};
  if (!ended_.empty()) parts.push_back({"PROCESS " + ended_ + ", this is its last picture", Style::overdue});
  if (auto note = filter_note()) parts.push_back(*note);
  if (pane_.open() && !pane_has_room_) parts.push_back({"no room for its stack", Style::strong});
  size_t threads = tree_ ? tree_->threads.size() : process_.thread_count;
  parts.push_back({count_of(threads, "thread", "threads")});
  parts.push_back(
      {std::to_string(process_.overdue) + " overdue", process_.overdue ? Style::overdue : Style::normal});
  if (tree_ && !tree_->ended_threads.empty())
    parts.push_back(
        {std::to_string(tree_->ended_threads.size()) + " ended" + (table_.shows_ended() ? "" : " (e)")});
  parts.push_back({(table_.tree() ? "tree by " : "flat by ") + table_.sorted_by()});
  parts.push_back({std::to_string(process_.blocked) + " blocked"});
  if (!process_.cgroup.empty()) parts.push_back({escape_for_terminal(process_.cgroup), Style::quiet});
  return parts;
}

std::vector<std::pair<std::string, std::string>> ThreadView::hints() const {
  return {{"?", "help"},     {"q", "quit"},       {"Esc", "back"},    {"s", "stack"},
          {"f", "findings"}, {"o", "made where"}, {"Space", "pause"}, {"t", table_.tree() ? "flat" : "tree"},
          {"/", "search"},   {"\\", "filter"},    {"< >", "sort"},    {"e", "ended"},
          {"I", "invert"}};
}

std::optional<Line> ThreadView::prompt() const {
  if (auto line = TableView::prompt()) return line;
  if (trouble_.empty()) return std::nullopt;
  return Line(escape_for_terminal(trouble_), Style::strong);
}

std::optional<Request> ThreadView::request() const {
  if (!ended_.empty()) return std::nullopt;
  return Request{process_.pid};
}

std::optional<Request> ThreadView::stack_request() const {
  if (!ended_.empty()) return std::nullopt;
  return pane_.wanted(process_, thread_at_cursor());
}

const cli::ThreadRow* ThreadView::thread_at_cursor() const {
  const std::optional<uint32_t> row = table_.row_at_cursor();
  return rows_ && row ? &(*rows_)[*row] : nullptr;
}

void ThreadView::draw(std::vector<Line>& out, size_t lines, size_t columns) {
  const size_t pane = pane_.open() ? pane_lines(lines) : 0;
  pane_has_room_ = pane > 0;
  const size_t end = out.size() + lines - pane;
  TableView::draw(out, lines - pane, columns);
  if (pane == 0) return;
  out.resize(end);
  pane_.draw(out, pane, columns, thread_at_cursor());
}

void ThreadView::accept(const Reply& reply) {
  if (reply.request.tid != 0) {
    if (reply.request.pid == process_.pid) pane_.accept(reply, process_);
    return;
  }
  if (!ended_.empty()) return;
  if (reply.list && !is_listed(*reply.list) &&
      (!tree_ || tree_->as_of_boottime_ns < reply.list->as_of_boottime_ns))
    ended_ = "has ended";
  if (reply.request != Request{process_.pid}) return;
  trouble_ = reply.error ? reply.error->message : "";
  if (reply.tree) accept_tree(reply.tree);
}

bool ThreadView::is_listed(const cli::ProcessList& list) const {
  return std::any_of(list.processes.begin(), list.processes.end(), [&](const cli::ProcessRow& row) {
    return row.pid == process_.pid && row.start_boottime_ns == process_.start_boottime_ns;
  });
}

void ThreadView::accept_tree(std::shared_ptr<const cli::Tree> tree) {
  if (tree->process.start_boottime_ns != process_.start_boottime_ns) {
    ended_ = "has ended (its pid is in use again)";
    return;
  }
  if (tree->process.ended) {
    ended_ = "ended at " + time_of_day(*tree->process.ended);
    // What is left of it now says less than what was there when it lived.
    if (tree_) return;
    table_.set_show_ended(true);
  }
  tree_ = std::move(tree);
  process_ = tree_->process;
  rows_ = std::make_shared<const ThreadRows>(*tree_);
  table_.set_rows(rows_);
}

Outcome ThreadView::on_other_key(const Key& key) {
  if (key.code == KeyCode::backspace || key.code == KeyCode::left || key.is('h')) return Outcome::back();
  if (key.is('t') || key.code == KeyCode::tree) {
    table_.set_tree(!table_.tree());
  } else if (key.is('s')) {
    pane_.toggle();
    table_.pin();  // its thread stays under the cursor
  } else if (key.is('f')) {
    table_.pin();
    const cli::ThreadRow* thread = thread_at_cursor();
    return Outcome::opened(
        std::make_unique<FindingView>(thread && thread->finding ? thread->finding : process_.finding));
  } else if (key.is('o')) {
    return Outcome::opened(std::make_unique<OriginView>(process_));
  } else if (key.is('e')) {
    table_.set_show_ended(!table_.shows_ended());
    notice(table_.shows_ended() ? "threads that ended of late are shown too" : "ended threads are hidden");
  } else {
    return Outcome::unknown_key();
  }
  return Outcome::done();
}

std::string ThreadView::empty_text() const {
  if (!tree_) return ended_.empty() ? "waiting for its threads" : "nothing of it was seen";
  return "no thread matches the filter: \\ changes it, Esc drops it";
}

}  // namespace loiter::top
