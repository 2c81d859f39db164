// What is wrong on this host: a table of findings, the worst first, and below it all that is known of the one
// under the cursor.
//
// Pure state; see view.h.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/finding_model.h"
#include "cli/top/table_view.h"

namespace loiter::top {

class FindingView : public TableView {
 public:
  // With the cursor at the finding that something is marked with, once it is there.
  explicit FindingView(const std::optional<cli::FindingMark>& at = std::nullopt);

  std::vector<Span> title() const override;
  std::vector<std::pair<std::string, std::string>> hints() const override;
  std::optional<Line> prompt() const override;
  void draw(std::vector<Line>& out, size_t lines, size_t columns) override;
  std::optional<Request> request() const override;
  void accept(const Reply& reply) override;
  uint64_t as_of_boottime_ns() const override { return findings_ ? findings_->as_of_boottime_ns : 0; }
  std::string as_of() const override { return findings_ ? findings_->as_of : ""; }

 protected:
  Outcome on_other_key(const Key& key) override;
  std::string empty_text() const override;

 private:
  std::shared_ptr<const cli::FindingList> findings_;
  std::string at_;       // id of the one to go to; empty: none
  std::string trouble_;  // why the last request brought nothing
};

}  // namespace loiter::top
