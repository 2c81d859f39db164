#include "cli/top/stack_pane.h"

#include <algorithm>

#include "cli/stack_text.h"
#include "daemon/base/bytes.h"

namespace loiter::top {
namespace {

Request request_of(uint32_t pid, const cli::ThreadRow& thread) {
  return {pid, thread.tid, thread.born_boottime_ns, thread.voluntary_switches + thread.involuntary_switches};
}

std::string head_text(const cli::ThreadRow& thread) {
  cli::StackThread now;  // what the table's picture says of it
  now.state = thread.state;
  now.age = thread.age;
  now.wait = thread.wait;
  return "─ " + std::to_string(thread.tid) + " " + escape_for_terminal(thread.name) + ": " +
         cli::doing_text(now) + " ";
}

std::string repeated(const char* sign, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += sign;
  return text;
}

Line head_line(const std::string& text, size_t columns) {
  const size_t width = display_width(text);
  if (width > columns) return {fit_columns(text, columns), Style::strong};
  return {text + repeated("─", columns - width), Style::strong};
}

}  // namespace

std::optional<Request> StackPane::wanted(const cli::ProcessRow& process, const cli::ThreadRow* thread) const {
  if (!open_ || !thread || thread->ended) return std::nullopt;
  const Request request = request_of(process.pid, *thread);
  if (answered_ == request && stack_) return std::nullopt;
  return request;
}

void StackPane::accept(const Reply& reply, const cli::ProcessRow& process) {
  answered_ = reply.request;
  stack_.reset();
  trouble_ = reply.error ? reply.error->message : "the daemon tells of no such thread";
  if (!reply.stacks) return;
  const std::string& started = reply.stacks->process.start_time;
  if (!started.empty() && !process.start_time.empty() && started != process.start_time) {
    trouble_ = "its pid is in use again";
    return;
  }
  for (const cli::StackThread& thread : reply.stacks->threads)
    if (thread.tid == reply.request.tid) stack_ = thread;
}

// Also where it has run since: the one before stays until the next has come.
bool StackPane::holds(const cli::ThreadRow& thread) const {
  return answered_ && answered_->tid == thread.tid && answered_->born_boottime_ns == thread.born_boottime_ns;
}

void StackPane::draw_frames(std::vector<Line>& out, size_t lines) const {
  const std::vector<std::string> all = cli::frame_lines(*stack_);
  const size_t first = all.size() > lines ? cli::first_own_frame(stack_->frames) : 0;
  const bool all_fit = all.size() - first <= lines;
  const size_t shown = all_fit ? all.size() - first : lines - 1;
  for (size_t i = first; i < first + shown; ++i) out.emplace_back("  " + all[i], Style::normal);
  if (!all_fit)
    out.emplace_back("  … " + std::to_string(all.size() - first - shown) + " more: loiter stacks",
                     Style::quiet);
}

void StackPane::draw(std::vector<Line>& out, size_t lines, size_t columns,
                     const cli::ThreadRow* thread) const {
  if (lines == 0) return;
  out.push_back(head_line(thread ? head_text(*thread) : "─ stack ", columns));
  if (lines == 1) return;
  if (!thread)
    out.emplace_back("  no thread is under the cursor", Style::quiet);
  else if (thread->ended && !holds(*thread))
    out.emplace_back("  it has ended", Style::quiet);
  else if (!holds(*thread))
    out.emplace_back("  reading its stack", Style::quiet);
  else if (!stack_)
    out.emplace_back("  no stack: " + escape_for_terminal(trouble_), Style::quiet);
  else
    draw_frames(out, lines - 1);
}

}  // namespace loiter::top
