// The threads of one process: who created whom, or a flat list of them, and below them on request the stack
// of the one under the cursor. When the process ends, its last picture stays and says so.
//
// Pure state; see view.h.
#pragma once

#include <memory>

#include "cli/top/stack_pane.h"
#include "cli/top/table_view.h"
#include "cli/top/thread_rows.h"

namespace loiter::top {

class ThreadView : public TableView {
 public:
  explicit ThreadView(const cli::ProcessRow& process);

  std::vector<Span> title() const override;
  std::vector<std::pair<std::string, std::string>> hints() const override;
  std::optional<Line> prompt() const override;
  void draw(std::vector<Line>& out, size_t lines, size_t columns) override;
  std::optional<Request> request() const override;
  std::optional<Request> stack_request() const override;
  void accept(const Reply& reply) override;
  uint64_t as_of_boottime_ns() const override { return tree_ ? tree_->as_of_boottime_ns : 0; }
  std::string as_of() const override { return tree_ ? tree_->as_of : ""; }

 protected:
  Outcome on_other_key(const Key& key) override;
  std::string empty_text() const override;

 private:
  void accept_tree(std::shared_ptr<const cli::Tree> tree);
  const cli::ThreadRow* thread_at_cursor() const;
  bool is_listed(const cli::ProcessList& list) const;

  cli::ProcessRow process_;  // as it was when last seen
  std::shared_ptr<const cli::Tree> tree_;
  std::shared_ptr<const ThreadRows> rows_;
  StackPane pane_;
  bool pane_has_room_ = true;
  std::string ended_;    // "ended", "ended at 06:44:17Z"; empty while it lives
  std::string trouble_;  // why the last request brought nothing
};

}  // namespace loiter::top
