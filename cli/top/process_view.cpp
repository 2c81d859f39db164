#include "cli/top/process_view.h"

#include "cli/top/finding_view.h"
#include "cli/top/origin_view.h"
#include "cli/top/thread_view.h"

namespace loiter::top {

ProcessView::ProcessView()
    : TableView(Table(headings_of(cli::process_columns()), column_named(cli::process_columns(), "oldest"),
                      column_named(cli::process_columns(), "comm"))) {}

std::vector<Span> ProcessView::title() const {
  std::vector<Span> parts{{"Processes by " + table_.sorted_by(), Style::strong}};
  if (auto note = filter_note()) parts.push_back(*note);
  return parts;
}

std::vector<std::pair<std::string, std::string>> ProcessView::hints() const {
  return {{"?", "help"},      {"q", "quit"},   {"Enter", "threads"}, {"f", "findings"}, {"o", "made where"},
          {"Space", "pause"}, {"/", "search"}, {"\\", "filter"},     {"< >", "sort"},   {"I", "invert"}};
}

void ProcessView::accept(const Reply& reply) {
  if (!reply.list) return;
  list_ = reply.list;
  rows_ = std::make_shared<const ProcessRows>(*list_);
  table_.set_rows(rows_);
}

Outcome ProcessView::on_other_key(const Key& key) {
  if (key.is('f')) {
    const auto row = table_.row_at_cursor();
    table_.pin();
    return Outcome::opened(std::make_unique<FindingView>(row ? (*rows_)[*row].finding : std::nullopt));
  }
  const bool origins = key.is('o');
  if (key.code != KeyCode::enter && key.code != KeyCode::right && !key.is('l') && !origins)
    return Outcome::unknown_key();
  if (auto row = table_.row_at_cursor()) {
    table_.pin();  // to be found here again on the way back
    if (origins) return Outcome::opened(std::make_unique<OriginView>((*rows_)[*row]));
    return Outcome::opened(std::make_unique<ThreadView>((*rows_)[*row]));
  }
  return Outcome::done();
}

std::string ProcessView::empty_text() const {
  return list_ ? "no process matches the filter: \\ changes it, Esc drops it"
               : "waiting for the first census";
}

}  // namespace loiter::top
