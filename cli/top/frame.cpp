#include "cli/top/frame.h"

#include "daemon/base/bytes.h"

namespace loiter::top {

void Line::add(std::string text, Style style) {
  if (!text.empty()) spans_.push_back({std::move(text), style});
}

void Line::fit(size_t columns, Style fill) {
  size_t used = 0;
  for (size_t i = 0; i < spans_.size(); ++i) {
    size_t width = display_width(spans_[i].text);
    if (used + width > columns) {
      spans_[i].text = fit_columns(spans_[i].text, columns - used);
      spans_.resize(i + 1);
      used = columns;
      break;
    }
    used += width;
  }
  if (used < columns) add(std::string(columns - used, ' '), fill);
}

void Line::restyle(Style style) {
  for (Span& span : spans_) span.style = style;
}

size_t Line::width() const {
  size_t width = 0;
  for (const Span& span : spans_) width += display_width(span.text);
  return width;
}

std::string Line::text() const {
  std::string text;
  for (const Span& span : spans_) text += span.text;
  return text;
}

Line join_that_fits(const std::vector<Span>& parts, size_t columns, std::string_view separator) {
  Line line;
  size_t used = 0;
  for (const Span& part : parts) {
    size_t width = display_width(part.text);
    size_t gap = used == 0 ? 0 : display_width(separator);
    if (used + gap + width > columns) continue;
    if (gap) line.add(std::string(separator), Style::quiet);
    line.add(part.text, part.style);
    used += gap + width;
  }
  return line;
}

Line left_and_right(Line left, const Line& right, size_t columns) {
  size_t need = left.width() + right.width() + 2;
  if (need <= columns) {
    left.add(std::string(columns - need + 2, ' '));
    for (const Span& span : right.spans()) left.add(span.text, span.style);
  }
  left.fit(columns);
  return left;
}

}  // namespace loiter::top
