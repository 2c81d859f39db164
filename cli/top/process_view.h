// All processes of the host: the view that `loiter top` begins with.
//
// Pure state; see view.h.
#pragma once

#include <memory>

#include "cli/top/process_rows.h"
#include "cli/top/table_view.h"

namespace loiter::top {

class ProcessView : public TableView {
 public:
  ProcessView();

  std::vector<Span> title() const override;
  std::vector<std::pair<std::string, std::string>> hints() const override;
  void accept(const Reply& reply) override;
  uint64_t as_of_boottime_ns() const override { return list_ ? list_->as_of_boottime_ns : 0; }
  std::string as_of() const override { return list_ ? list_->as_of : ""; }

 protected:
  Outcome on_other_key(const Key& key) override;
  std::string empty_text() const override;

 private:
  std::shared_ptr<const cli::ProcessList> list_;
  std::shared_ptr<const ProcessRows> rows_;
};

}  // namespace loiter::top
