#include "cli/top/finding_view.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "cli/top/text.h"
#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

enum Column : size_t { kSeverity, kKind, kCertainty, kAge, kCount, kPid, kProcess, kSummary };

std::vector<Heading> headings() {
  return {
      {"SEVERITY", 9, 9, false, true}, {"KIND", 10, 10},    {"CERTAIN", 8, 8},   {"AGE", 9, 9, true, true},
      {"THREADS", 7, 7, true, true},   {"PID", 7, 7, true}, {"PROCESS", 10, 15}, {"WHAT", 20, 200}};
}

// What stays the same over restarts of the daemon is the id, a text.
RowId row_id(const std::string& finding_id) {
  return {std::hash<std::string>()(finding_id), 0};
}

int weight(const cli::FindingRow& row) {
  return cli::severity_weight(row.severity);
}

class FindingRows : public Rows {
 public:
  explicit FindingRows(std::shared_ptr<const cli::FindingList> findings) : findings_(std::move(findings)) {}

  uint32_t size() const override { return static_cast<uint32_t>(findings_->findings.size()); }
  RowId id(uint32_t row) const override { return row_id(findings_->findings[row].id); }
  std::string cell(uint32_t row, size_t column, size_t) const override {
    const cli::FindingRow& finding = findings_->findings[row];
    switch (column) {
      case kAge:
        return cli::format_age(finding.age, true);
      case kCount:
        return std::to_string(finding.count);
      case kPid:
        return std::to_string(finding.pid);
      default:
        return escape_for_terminal(text_of(finding, column));
    }
  }
  Style style(uint32_t row, size_t column) const override {
    if (column == kSeverity || column == kKind)
      return weight(findings_->findings[row]) > 0 ? Style::overdue : Style::quiet;
    return Style::normal;
  }
  int compare(uint32_t a, uint32_t b, size_t column) const override {
    const cli::FindingRow &left = findings_->findings[a], &right = findings_->findings[b];
    const auto order = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
    switch (column) {
      case kSeverity:
        return order(weight(left), weight(right));
      case kAge:
        return order(left.age.blocked_ns.value_or(0), right.age.blocked_ns.value_or(0));
      case kCount:
        return order(left.count, right.count);
      case kPid:
        return order(left.pid, right.pid);
      default:
        return text_of(left, column).compare(text_of(right, column));
    }
  }
  bool matches(uint32_t row, std::string_view needle) const override {
    const cli::FindingRow& finding = findings_->findings[row];
    return contains(finding.comm, needle) || std::ranges::any_of(finding.lines, [&](const std::string& line) {
             return contains(line, needle);
           });
  }

 private:
  static const std::string& text_of(const cli::FindingRow& finding, size_t column) {
    switch (column) {
      case kSeverity:
        return finding.severity;
      case kKind:
        return finding.kind;
      case kCertainty:
        return finding.certainty;
      case kProcess:
        return finding.comm;
      default:
        return finding.summary;
    }
  }

  std::shared_ptr<const cli::FindingList> findings_;
};

}  // namespace

FindingView::FindingView(const std::optional<cli::FindingMark>& at)
    : TableView(Table(headings(), kSeverity, kSummary)), at_(at ? at->id : "") {}

std::vector<Span> FindingView::title() const {
  std::vector<Span> parts{{"Findings", Style::strong}};
  if (auto note = filter_note()) parts.push_back(*note);
  if (!findings_) return parts;
  for (const char* severity : {"critical", "warning", "info"}) {
    const auto count = std::ranges::count(findings_->findings, severity, &cli::FindingRow::severity);
    if (count > 0) parts.push_back({std::to_string(count) + " " + severity});
  }
  return parts;
}

std::vector<std::pair<std::string, std::string>> FindingView::hints() const {
  return {{"?", "help"},   {"q", "quit"},    {"Esc", "back"}, {"Space", "pause"},
          {"/", "search"}, {"\\", "filter"}, {"< >", "sort"}, {"I", "invert"}};
}

std::optional<Line> FindingView::prompt() const {
  if (auto line = TableView::prompt()) return line;
  if (trouble_.empty()) return std::nullopt;
  return Line(escape_for_terminal(trouble_), Style::strong);
}

std::optional<Request> FindingView::request() const {
  Request request;
  request.findings = true;
  return request;
}

void FindingView::accept(const Reply& reply) {
  if (!reply.request.findings) return;
  trouble_ = reply.error ? reply.error->message : "";
  if (!reply.findings) return;
  findings_ = reply.findings;
  table_.set_rows(std::make_shared<const FindingRows>(findings_));
  if (const std::string at = std::exchange(at_, ""); !at.empty() && !table_.go_to(row_id(at)))
    notice(at + " is there no more: these are those that are");
}

void FindingView::draw(std::vector<Line>& out, size_t lines, size_t columns) {
  const size_t pane = pane_lines(lines);
  const size_t end = out.size() + lines - pane;
  TableView::draw(out, lines - pane, columns);
  if (pane == 0) return;
  out.resize(end);
  const std::optional<uint32_t> row = table_.row_at_cursor();
  if (!findings_ || !row) return;
  const cli::FindingRow& finding = findings_->findings[*row];
  out.emplace_back(fit_columns("─ " + escape_for_terminal(finding.id) + " ", columns), Style::strong);
  const size_t shown = finding.lines.size() < pane ? finding.lines.size() : pane - 2;
  for (size_t i = 0; i < shown; ++i) out.emplace_back("  " + finding.lines[i], Style::normal);
  if (shown < finding.lines.size())
    out.emplace_back("  … " + std::to_string(finding.lines.size() - shown) + " more: loiter findings",
                     Style::quiet);
}

Outcome FindingView::on_other_key(const Key& key) {
  if (key.code == KeyCode::backspace || key.code == KeyCode::left || key.is('h') || key.is('f'))
    return Outcome::back();
  return Outcome::unknown_key();
}

std::string FindingView::empty_text() const {
  if (!findings_) return "waiting for the first verdict";
  if (findings_->findings.empty()) return "no findings";
  return "no finding matches the filter: \\ changes it, Esc drops it";
}

}  // namespace loiter::top
