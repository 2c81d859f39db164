// A picture of the screen before it meets a terminal: lines of styled text. What the views make and the
// screen paints, so that everything the user sees can be tested without a terminal.
//
// Values; built and painted by the thread that owns the terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loiter::top {

// What a piece of text is, not how it looks: the screen decides that, with colours or without.
enum class Style : uint8_t {
  normal,
  quiet,    // there for whoever looks for it
  strong,   // the figure that counts
  heading,  // column titles
  sorted,   // the title of the column sorted by
  cursor,   // the row the keys act on
  match,    // the row holds what was searched for
  overdue,  // says so in words or by a mark as well
  banner,   // cannot be missed
};

struct Span {
  std::string text;  // valid UTF-8 without control characters
  Style style = Style::normal;
};

class Line {
 public:
  Line() = default;
  Line(std::string text, Style style) { add(std::move(text), style); }

  void add(std::string text, Style style = Style::normal);

  // Cut or filled to exactly `columns`; what is filled in takes `fill`.
  void fit(size_t columns, Style fill = Style::normal);

  // All of it in one style: for the cursor's row and for banners.
  void restyle(Style style);

  size_t width() const;
  std::string text() const;
  const std::vector<Span>& spans() const { return spans_; }

 private:
  std::vector<Span> spans_;
};

struct Frame {
  std::vector<Line> lines;  // one for each row of the screen
};

// The words a head or foot line can show, most important first; those that do not fit are left out.
// `separator` stands between them.
Line join_that_fits(const std::vector<Span>& parts, size_t columns, std::string_view separator);

// Two lines in one: `right` ends at the right edge, and gives way where both do not fit.
Line left_and_right(Line left, const Line& right, size_t columns);

}  // namespace loiter::top
