#include "cli/top/app.h"

#include <algorithm>

#include "cli/top/help_view.h"
#include "cli/top/host_line.h"
#include "cli/top/process_view.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::top {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr const char* kDot = " · ";

std::string seconds_old(uint64_t age_ns) {
  return age_ns < 60 * kSecond ? std::to_string(age_ns / kSecond) + "s" : format_duration(age_ns);
}

// Which lines a screen of so many rows has room for, besides the table: the table goes first.
struct Rooms {
  bool title, foot, host, figures;
  explicit Rooms(size_t rows) : title(rows >= 2), foot(rows >= 5), host(rows >= 6), figures(rows >= 8) {}
  size_t taken() const { return size_t{title} + size_t{foot} + size_t{host} + size_t{figures}; }
};

}  // namespace

App::App(uint64_t interval_ns, uint64_t patience_ns) : interval_ns_(interval_ns), patience_ns_(patience_ns) {
  views_.push_back(std::make_unique<ProcessView>());
}

void App::on_key(const Key& key) {
  Outcome outcome = view().on_key(key);
  switch (outcome.kind) {
    case Outcome::Kind::done:
      break;
    case Outcome::Kind::unknown_key:
      on_common_key(key);
      break;
    case Outcome::Kind::opened:
      views_.push_back(std::move(outcome.view));
      break;
    case Outcome::Kind::back:
      if (views_.size() > 1) views_.pop_back();
  }
}

void App::on_common_key(const Key& key) {
  if (key.is('q') || key.code == KeyCode::quit || key.code == KeyCode::interrupt)
    done_ = true;
  else if (key.is(' '))
    paused_ = !paused_;
  else if (key.is('?') || key.is('h') || key.code == KeyCode::help)
    views_.push_back(std::make_unique<HelpView>());
}

void App::on_reply(const Reply& reply, uint64_t now_ns) {
  if (reply.request.pid == 0 && !reply.request.findings) {
    if (reply.error) return on_failure(*reply.error, now_ns);
    failing_since_ns_.reset();
    trouble_.clear();
    if (!paused_) host_ = reply.list->host;
  }
  for (auto& view : views_)
    if (!paused_ || reply.request.tid != 0 || view->as_of_boottime_ns() == 0) view->accept(reply);
}

void App::on_failure(const Error& error, uint64_t now_ns) {
  trouble_ = error.message;
  if (!failing_since_ns_) failing_since_ns_ = now_ns;
  if (now_ns - *failing_since_ns_ >= patience_ns_) failure_ = error;
}

std::vector<Request> App::wanted() const {
  std::vector<Request> requests;
  for (const auto& view : views_) {
    auto request = view->request();
    if (request && (!paused_ || view->as_of_boottime_ns() == 0)) requests.push_back(*request);
  }
  if (auto request = view().stack_request()) requests.push_back(*request);
  if (!paused_ || !host_) requests.push_back(Request{});
  return requests;
}

// "5s old" of a picture that is older than it should be, else nothing.
std::string App::old_age(uint64_t now_ns) const {
  uint64_t as_of = view().as_of_boottime_ns();
  if (as_of == 0 || now_ns < as_of || now_ns - as_of < 2 * interval_ns_ + kSecond) return {};
  return seconds_old(now_ns - as_of) + " old";
}

Line App::host(size_t columns, uint64_t now_ns) const {
  std::vector<Span> parts;
  if (host_) parts = host_parts(*host_);
  parts.insert(parts.begin(), {"loiter top", Style::quiet});
  Line right;
  if (std::string age = old_age(now_ns); !age.empty() && !paused_) right.add("data " + age, Style::overdue);
  size_t taken = right.width() ? right.width() + 2 : 0;
  return left_and_right(join_that_fits(parts, columns - std::min(columns, taken), kDot), right, columns);
}

Line App::figures(size_t columns) const {
  Line line;
  if (host_) line = join_that_fits(figure_parts(*host_), columns, kDot);
  line.fit(columns);
  return line;
}

Line App::title(size_t columns, uint64_t now_ns) const {
  std::vector<Span> parts = view().title();
  if (!paused_) {
    Line line = join_that_fits(parts, columns, kDot);
    line.fit(columns);
    return line;
  }
  std::string since = "picture of " + time_of_day(view().as_of());
  if (std::string age = old_age(now_ns); !age.empty()) since += ", " + age;
  parts.insert(parts.begin(), {Span{"PAUSED", Style::banner}, Span{"Space goes on", Style::banner},
                               Span{since, Style::banner}});
  Line line = join_that_fits(parts, columns, kDot);
  line.fit(columns);
  line.restyle(Style::banner);
  return line;
}

Line App::foot(size_t columns) const {
  Line line;
  if (!trouble_.empty()) {
    line.add(escape_for_terminal(trouble_), Style::overdue);
  } else if (auto prompt = view().prompt()) {
    line = *prompt;
  } else {
    size_t used = 0;
    for (const auto& [key, meaning] : view().hints()) {
      size_t width = display_width(key) + 1 + display_width(meaning) + (used ? 3 : 0);
      if (used + width > columns) break;
      if (used) line.add("   ");
      line.add(key, Style::strong);
      line.add(" " + meaning, Style::quiet);
      used += width;
    }
  }
  line.fit(columns);
  return line;
}

Frame App::frame(size_t rows, size_t columns, uint64_t now_ns) {
  Frame frame;
  Rooms rooms(rows);
  if (rooms.host) frame.lines.push_back(host(columns, now_ns));
  if (rooms.figures) frame.lines.push_back(figures(columns));
  // A question or a pause must be seen also where there is no room for a foot.
  if (rooms.title) {
    auto prompt = view().prompt();
    bool asks = !rooms.foot && prompt;
    frame.lines.push_back(asks ? *prompt : title(columns, now_ns));
    frame.lines.back().fit(columns);
  }
  size_t room = rows - std::min(rows, rooms.taken());
  size_t before = frame.lines.size();
  view().draw(frame.lines, room, columns);
  for (Line& line : frame.lines) line.fit(columns);
  while (frame.lines.size() < before + room) frame.lines.emplace_back();
  if (rooms.foot) frame.lines.push_back(foot(columns));
  return frame;
}

}  // namespace loiter::top
