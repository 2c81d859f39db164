#include "cli/top/table_view.h"

#include "cli/top/text.h"
#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

constexpr size_t kLongestAnswer = 256;

}  // namespace

void TableView::draw(std::vector<Line>& out, size_t lines, size_t columns) {
  table_.draw(out, lines, columns);
  if (table_.shown() == 0 && lines > 1) out.emplace_back("  " + empty_text(), Style::quiet);
}

void TableView::ask(Asking what) {
  asking_ = what;
  answer_ = what == Asking::filter ? filter_ : "";
  before_search_ = table_.place();
}

Outcome TableView::on_key(const Key& key) {
  notice_.clear();
  if (asking_ != Asking::nothing) return on_answer(key);
  if (table_.move(key) || on_table_key(key)) return Outcome::done();
  if (key.code == KeyCode::escape) return on_escape();
  return on_other_key(key);
}

bool TableView::on_table_key(const Key& key) {
  if (key.is('/') || key.code == KeyCode::search) {
    ask(Asking::search);
  } else if (key.is('\\') || key.code == KeyCode::filter) {
    ask(Asking::filter);
  } else if (key.is('n') || key.is('N')) {
    if (!table_.search_again(key.is('n') ? 1 : -1))
      notice(search_.empty() ? "nothing searched for yet: / searches" : "no row holds '" + search_ + "'");
  } else if (key.is('<') || key.is(',')) {
    table_.sort_beside(-1);
  } else if (key.is('>') || key.is('.')) {
    table_.sort_beside(1);
  } else if (key.is('I') || key.is('r')) {
    table_.invert();
  } else {
    return false;
  }
  return true;
}

// Takes back one thing at a time: the marks of a search, the filter, then the view.
Outcome TableView::on_escape() {
  if (!search_.empty()) {
    search_.clear();
    table_.search("");
  } else if (!filter_.empty()) {
    filter_.clear();
    table_.set_filter("");
  } else {
    return Outcome::back();
  }
  return Outcome::done();
}

void TableView::answer_changed() {
  if (asking_ == Asking::filter) {
    filter_ = answer_;
    table_.set_filter(filter_);
    return;
  }
  search_ = answer_;
  table_.go_back_to(before_search_);
  if (!table_.search(search_)) notice("no row holds it");
}

Outcome TableView::on_answer(const Key& key) {
  switch (key.code) {
    case KeyCode::enter:
      asking_ = Asking::nothing;
      return Outcome::done();
    case KeyCode::escape:
      answer_.clear();
      answer_changed();
      asking_ = Asking::nothing;
      notice_.clear();
      return Outcome::done();
    case KeyCode::backspace:
      remove_last_character(answer_);
      break;
    case KeyCode::erase_line:
      answer_.clear();
      break;
    case KeyCode::character:
      if (answer_.size() < kLongestAnswer) append_utf8(answer_, key.character);
      break;
    default:
      table_.move(key);  // arrows and pages go on working
      before_search_ = table_.place();
      return key.code == KeyCode::quit || key.code == KeyCode::interrupt ? Outcome::unknown_key()
                                                                         : Outcome::done();
  }
  answer_changed();
  return Outcome::done();
}

std::optional<Line> TableView::prompt() const {
  Line line;
  if (asking_ != Asking::nothing) {
    line.add(asking_ == Asking::search ? "Search: " : "Filter: ", Style::strong);
    line.add(escape_for_terminal(answer_));
    line.add(" ", Style::cursor);
    line.add("  Enter keeps it, Esc drops it", Style::quiet);
  }
  if (!notice_.empty())
    line.add((line.spans().empty() ? "" : "  ") + escape_for_terminal(notice_), Style::strong);
  if (line.spans().empty()) return std::nullopt;
  return line;
}

std::optional<Span> TableView::filter_note() const {
  if (filter_.empty()) return std::nullopt;
  return Span{"filter '" + escape_for_terminal(filter_) + "': " + std::to_string(table_.shown()) + " shown",
              Style::strong};
}

}  // namespace loiter::top
