// The keys and marks, on one page that scrolls where the screen is small.
//
// Pure state; see view.h.
#pragma once

#include "cli/top/view.h"

namespace loiter::top {

class HelpView : public View {
 public:
  std::vector<Span> title() const override { return {{"Help", Style::strong}, {"any other key goes back"}}; }
  void draw(std::vector<Line>& out, size_t lines, size_t columns) override;
  Outcome on_key(const Key& key) override;
  std::vector<std::pair<std::string, std::string>> hints() const override;

 private:
  size_t top_ = 0, page_ = 1;
};

}  // namespace loiter::top
