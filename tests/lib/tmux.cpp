#include "tests/lib/tmux.h"

#include <sstream>
#include <stdexcept>

#include "tests/lib/await.h"

namespace loiter::test {
namespace {

std::vector<std::string> server_command(const TempDir& dir, const std::vector<std::string>& environment) {
  std::vector<std::string> argv{"/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                "HOME=" + dir.path(), "LANG=C.UTF-8"};
  argv.insert(argv.end(), environment.begin(), environment.end());
  // -D: it stays our child, and so dies with us. -u: UTF-8 whatever the locale of what runs in it.
  for (const char* word : {"/usr/bin/tmux", "-D", "-u", "-f", "/dev/null", "-S"}) argv.push_back(word);
  argv.push_back(dir.file("tmux"));
  return argv;
}

// What is typed finds no daemon of the host.
SpawnOptions server_options() {
  SpawnOptions options;
  options.empty_run_dir = true;
  return options;
}

}  // namespace

Tmux::Tmux(int columns, int rows, const std::vector<std::string>& environment)
    : server_(server_command(dir_, environment), server_options()) {
  const auto answers = await("the tmux server answers", [&] {
    return loiter::test::run({"/usr/bin/tmux", "-N", "-S", dir_.file("tmux"), "show-options", "-g"})
               .status.code == 0;
  });
  if (!answers) throw std::runtime_error("tmux does not start: " + server_.stderr_text());
  // The session takes its environment from the server, not from the client that asks for it.
  tmux({"set-option", "-g", "update-environment", ""});
  tmux({"set-option", "-g", "status", "off", ";", "set-option", "-g", "escape-time", "0"});
  tmux({"new-session", "-d", "-x", std::to_string(columns), "-y", std::to_string(rows), "exec sh -i"});
  // Not sooner: tmux 3.3a dies of a new session under this option.
  tmux({"set-option", "-g", "window-size", "manual"});
  const auto prompt = await_screen("a prompt", [](const std::string& screen) {
    return screen.find_first_not_of(" \n") != std::string::npos;
  });
  if (!prompt) throw std::runtime_error("no shell in tmux: " + screen());
}

std::string Tmux::tmux(const std::vector<std::string>& words) {
  std::vector<std::string> argv{"/usr/bin/tmux", "-N", "-u", "-S", dir_.file("tmux")};
  argv.insert(argv.end(), words.begin(), words.end());
  const RunResult result = loiter::test::run(argv);
  if (result.status.code != 0) throw std::runtime_error("tmux " + words[0] + ": " + result.err);
  return result.out;
}

void Tmux::type(const std::string& text) {
  tmux({"send-keys", "-l", "--", text});
}

void Tmux::press(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) tmux({"send-keys", "--", key});
}

void Tmux::resize(int columns, int rows) {
  tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
}

std::string Tmux::screen() {
  return tmux({"capture-pane", "-p"});
}

std::string Tmux::styled_screen() {
  return tmux({"capture-pane", "-p", "-e"});
}

std::string Tmux::format(const std::string& what) {
  std::string text = tmux({"display-message", "-p", what});
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::vector<std::string> Tmux::lines() {
  std::vector<std::string> lines;
  std::istringstream text(screen());
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

::testing::AssertionResult Tmux::await_screen(const std::string& what, const Wanted& wanted) {
  std::string last;
  auto result = await(what, [&] { return wanted(last = screen()); });
  if (!result) result << "\nthe screen:\n" << last;
  return result;
}

::testing::AssertionResult Tmux::await_text(const std::string& text) {
  return await_screen("'" + text + "' on the screen",
                      [&](const std::string& screen) { return screen.find(text) != std::string::npos; });
}

::testing::AssertionResult Tmux::await_no_text(const std::string& text) {
  return await_screen("no '" + text + "' on the screen",
                      [&](const std::string& screen) { return screen.find(text) == std::string::npos; });
}

pid_t Tmux::shell_pid() {
  return std::stoi(format("#{pane_pid}"));
}

}  // namespace loiter::test
