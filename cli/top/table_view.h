// A view made of one table: the keys that all such views share (moving, sorting, search, filter), and the
// questions these ask.
//
// Pure state; see view.h.
#pragma once

#include <string>

#include "cli/top/table.h"
#include "cli/top/view.h"

namespace loiter::top {

class TableView : public View {
 public:
  explicit TableView(Table table) : table_(std::move(table)) {}

  void draw(std::vector<Line>& out, size_t lines, size_t columns) override;
  Outcome on_key(const Key& key) override;
  std::optional<Line> prompt() const override;

 protected:
  // A key that the table does not know, while nothing is being asked.
  virtual Outcome on_other_key(const Key& key) = 0;

  // What the table shows where it has no row.
  virtual std::string empty_text() const = 0;

  // "filter: redis (3 shown)", for titles; nothing where there is none.
  std::optional<Span> filter_note() const;
  void notice(std::string text) { notice_ = std::move(text); }

  Table table_;

 private:
  enum class Asking : uint8_t { nothing, search, filter };
  Outcome on_answer(const Key& key);
  void answer_changed();
  bool on_table_key(const Key& key);
  Outcome on_escape();
  void ask(Asking what);

  Asking asking_ = Asking::nothing;
  std::string answer_, search_, filter_;
  Table::Place before_search_{};
  std::string notice_;  // until the next key
};

}  // namespace loiter::top
