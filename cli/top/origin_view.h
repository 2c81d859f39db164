// Where the threads of one process were made: a table of sites, and below it the stack of the one under the
// cursor. When the process ends, its last picture stays and says so.
//
// Pure state; see view.h.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/origin_model.h"
#include "cli/top/table_view.h"

namespace loiter::top {

class OriginView : public TableView {
 public:
  explicit OriginView(const cli::ProcessRow& process);

  std::vector<Span> title() const override;
  std::vector<std::pair<std::string, std::string>> hints() const override;
  std::optional<Line> prompt() const override;
  void draw(std::vector<Line>& out, size_t lines, size_t columns) override;
  std::optional<Request> request() const override;
  void accept(const Reply& reply) override;
  uint64_t as_of_boottime_ns() const override { return origins_ ? origins_->as_of_boottime_ns : 0; }
  std::string as_of() const override { return origins_ ? origins_->as_of : ""; }

 protected:
  Outcome on_other_key(const Key& key) override;
  std::string empty_text() const override;

 private:
  void draw_site(std::vector<Line>& out, size_t lines, size_t columns) const;

  cli::ProcessRow process_;
  std::shared_ptr<const cli::Origins> origins_;
  bool ended_ = false;
  std::string trouble_;  // why the last request brought nothing
};

}  // namespace loiter::top
