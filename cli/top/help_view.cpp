#include "cli/top/help_view.h"

#include <algorithm>
#include <array>

#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

struct Entry {
  const char* keys;  // empty: a line of its own
  const char* text;
};

constexpr size_t kKeyColumns = 18;

constexpr auto kHelp = std::to_array<Entry>({
    {"arrows, PgUp PgDn", "move; the cursor then stays on its process or thread"},
    {"Home, End", "to the top (and stay there), to the end"},
    {"Enter, Right", "open the process: its threads, as who created whom"},
    {"Esc, Left", "back; before that, drops a search or a filter"},
    {"/  n  N", "search as you type; the next, the one before"},
    {"\\", "filter: show only what holds a text"},
    {"<  >  I", "sort by the column before, the next one; invert the order"},
    {"t", "threads: tree or flat"},
    {"s", "threads: the stack of the one under the cursor"},
    {"f", "findings, all that is known of them: at that of the row"},
    {"o", "where the threads of the process were made, and how many"},
    {"e", "threads: show those that ended of late"},
    {"Space", "pause the picture; all keys go on working"},
    {"?, F1", "this page"},
    {"q, F10, ^C", "quit"},
    {"", ""},
    {"~3m12s", "blocked that long, estimated"},
    {">=3m12s", "at least that long"},
    {"?", "not known"},
    {"!, OVERDUE", "blocked past the threshold: a mark, not yet a finding"},
    {"(123)", "created by thread 123, which has ended"},
});

}  // namespace

void HelpView::draw(std::vector<Line>& out, size_t lines, size_t columns) {
  page_ = std::max<size_t>(lines, 1);
  top_ = std::min(top_, kHelp.size() > page_ ? kHelp.size() - page_ : 0);
  for (size_t i = top_; i < kHelp.size() && i < top_ + lines; ++i) {
    Line line("  " + fit_columns(kHelp[i].keys, kKeyColumns), Style::strong);
    line.add(kHelp[i].text);
    line.fit(columns);
    out.push_back(std::move(line));
  }
}

Outcome HelpView::on_key(const Key& key) {
  switch (key.code) {
    case KeyCode::up:
      top_ -= std::min<size_t>(top_, 1);
      return Outcome::done();
    case KeyCode::down:
      ++top_;
      return Outcome::done();
    case KeyCode::page_up:
      top_ -= std::min(top_, page_);
      return Outcome::done();
    case KeyCode::page_down:
      top_ += page_;
      return Outcome::done();
    case KeyCode::home:
      top_ = 0;
      return Outcome::done();
    case KeyCode::end:
      top_ = kHelp.size();
      return Outcome::done();
    case KeyCode::quit:
    case KeyCode::interrupt:
      return Outcome::unknown_key();
    case KeyCode::none:
      return Outcome::done();
    default:
      return Outcome::back();
  }
}

std::vector<std::pair<std::string, std::string>> HelpView::hints() const {
  return {{"Esc", "back"}};
}

}  // namespace loiter::top
