#include "cli/top/origin_view.h"

#include <algorithm>

#include "cli/origin_text.h"
#include "cli/top/text.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::top {
namespace {

enum Column : size_t { kLive, kBorn, kEnded, kOldest, kMadeAt };

std::vector<Heading> headings() {
  return {{"LIVE", 7, 7, true, true},
          {"BORN", 9, 9, true, true},
          {"ENDED", 9, 9, true, true},
          {"OLDEST", 9, 9, true, true},
          {"MADE AT", 20, 200}};
}

uint64_t figure_of(const cli::OriginSite& site, size_t column) {
  switch (column) {
    case kLive:
      return site.live;
    case kBorn:
      return site.births;
    case kEnded:
      return site.ended;
    default:
      return site.oldest_ns ? *site.oldest_ns + 1 : 0;  // where none lives, below everything
  }
}

class SiteRows : public Rows {
 public:
  explicit SiteRows(std::shared_ptr<const cli::Origins> origins) : origins_(std::move(origins)) {}

  uint32_t size() const override { return static_cast<uint32_t>(origins_->sites.size()); }
  RowId id(uint32_t row) const override { return {origins_->sites[row].id, 0}; }
  std::string cell(uint32_t row, size_t column, size_t) const override {
    const cli::OriginSite& site = origins_->sites[row];
    if (column == kMadeAt) return cli::creation_text(site);
    if (column == kOldest) return site.oldest_ns ? format_duration(*site.oldest_ns) : "";
    return std::to_string(figure_of(site, column));
  }
  Style style(uint32_t, size_t column) const override {
    return column == kLive ? Style::strong : Style::normal;
  }
  int compare(uint32_t a, uint32_t b, size_t column) const override {
    const cli::OriginSite &left = origins_->sites[a], &right = origins_->sites[b];
    if (column == kMadeAt) return cli::creation_text(left).compare(cli::creation_text(right));
    const uint64_t x = figure_of(left, column), y = figure_of(right, column);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  bool matches(uint32_t row, std::string_view needle) const override {
    const std::vector<std::string> lines = cli::site_frame_lines(origins_->sites[row]);
    return std::ranges::any_of(lines, [&](const std::string& line) { return contains(line, needle); });
  }

 private:
  std::shared_ptr<const cli::Origins> origins_;
};

}  // namespace

OriginView::OriginView(const cli::ProcessRow& process)
    : TableView(Table(headings(), kLive, kMadeAt)), process_(process) {}

std::vector<Span> OriginView::title() const {
  std::vector<Span> parts{{std::to_string(process_.pid) + " " + escape_for_terminal(process_.comm) +
                               ": where its threads were made",
                           Style::strong}};
  if (ended_) parts.push_back({"PROCESS has ended, this is its last picture", Style::overdue});
  if (auto note = filter_note()) parts.push_back(*note);
  if (!origins_) return parts;
  parts.push_back({std::to_string(origins_->live) + " live"});
  parts.push_back({std::to_string(origins_->births) + " born, " + std::to_string(origins_->ends) + " ended"});
  for (const auto& [reason, count] : origins_->without_site)
    parts.push_back({cli::reason_text(reason, count), Style::quiet});
  return parts;
}

std::vector<std::pair<std::string, std::string>> OriginView::hints() const {
  return {{"?", "help"},   {"q", "quit"},    {"Esc", "back"}, {"Space", "pause"},
          {"/", "search"}, {"\\", "filter"}, {"< >", "sort"}, {"I", "invert"}};
}

std::optional<Line> OriginView::prompt() const {
  if (auto line = TableView::prompt()) return line;
  if (trouble_.empty() || ended_) return std::nullopt;
  return Line(escape_for_terminal(trouble_), Style::strong);
}

std::optional<Request> OriginView::request() const {
  if (ended_) return std::nullopt;
  Request request{process_.pid};
  request.origins = true;
  return request;
}

void OriginView::accept(const Reply& reply) {
  if (ended_) return;
  if (reply.list) {
    const bool listed = std::ranges::any_of(reply.list->processes, [&](const cli::ProcessRow& row) {
      return row.pid == process_.pid && row.start_boottime_ns == process_.start_boottime_ns;
    });
    ended_ = !listed && (!origins_ || origins_->as_of_boottime_ns < reply.list->as_of_boottime_ns);
    return;
  }
  if (!reply.request.origins || reply.request.pid != process_.pid) return;
  trouble_ = reply.error ? reply.error->message : "";
  if (!reply.origins) return;
  ended_ = reply.origins->process.start_boottime_ns != process_.start_boottime_ns;
  if (ended_) return;
  origins_ = reply.origins;
  table_.set_rows(std::make_shared<const SiteRows>(origins_));
}

void OriginView::draw_site(std::vector<Line>& out, size_t lines, size_t columns) const {
  const std::optional<uint32_t> row = table_.row_at_cursor();
  if (!origins_ || !row) return;
  const cli::OriginSite& site = origins_->sites[*row];
  out.emplace_back(fit_columns("─ " + cli::site_figures(site) + " ", columns), Style::strong);
  const std::vector<std::string> frames = cli::site_frame_lines(site);
  const size_t shown = frames.size() < lines ? frames.size() : lines - 2;
  for (size_t i = 0; i < shown; ++i) out.emplace_back("  " + frames[i], Style::normal);
  if (shown < frames.size())
    out.emplace_back("  … " + std::to_string(frames.size() - shown) + " more: loiter origins", Style::quiet);
}

void OriginView::draw(std::vector<Line>& out, size_t lines, size_t columns) {
  const size_t pane = pane_lines(lines);
  const size_t end = out.size() + lines - pane;
  TableView::draw(out, lines - pane, columns);
  if (pane == 0) return;
  out.resize(end);
  draw_site(out, pane, columns);
}

Outcome OriginView::on_other_key(const Key& key) {
  if (key.code == KeyCode::backspace || key.code == KeyCode::left || key.is('h') || key.is('o'))
    return Outcome::back();
  return Outcome::unknown_key();
}

std::string OriginView::empty_text() const {
  if (!origins_) return ended_ ? "nothing of it was seen" : "waiting for where its threads were made";
  if (origins_->sites.empty()) return "no thread of it was made since loiterd looks";
  return "no site matches the filter: \\ changes it, Esc drops it";
}

}  // namespace loiter::top
