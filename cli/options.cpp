#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "cli/columns.h"
#include "cli/runtime_threads.h"
#include "daemon/base/duration.h"
#include "daemon/base/version.h"

namespace loiter::cli {
namespace {

constexpr uint32_t kPidMax = 4'194'304;  // PID_MAX_LIMIT of a 64-bit kernel
constexpr size_t kMostId = 200;
constexpr uint64_t kMinInterval = 100'000'000;
constexpr uint64_t kLeastSince = 1'000'000'000;
constexpr size_t kMostName = 4096;

// The words as given, checked but not yet converted.
struct Raw {
  std::string socket, threshold, pid, tid, sort, limit, count, look_for, interval, finding, grace, within,
      json_file, junit_file, subject, since;
  std::vector<std::string> ignore, count_runtimes;
  bool json = false, kernel_threads = false, ended = false, strict = false, once = false, origins = false;
  bool kernel_stacks = false, no_lines = false, pthreads = false, resolved = false, watch = false;
  bool follow = false, print_rule = false;
};

std::optional<uint64_t> parse_number(const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// --- checks: empty where all is well, else what to tell the user -----------------------------------

std::string check_path(const std::string& text) {
  return text.empty() ? "the path is empty" : "";
}

std::string check_duration(const std::string& text) {
  return parse_duration(text) ? "" : duration_error(text);
}

std::string check_interval(const std::string& text) {
  const std::optional<uint64_t> ns = parse_duration(text);
  if (!ns) return duration_error(text);
  return *ns >= kMinInterval ? "" : "'" + text + "' is too short: 100ms or more";
}

std::string check_pid(const std::string& text) {
  return parse_pid(text)
             ? ""
             : "'" + text + "' is not a process id: a number from 1 to " + std::to_string(kPidMax);
}

std::string check_tid(const std::string& text) {
  return parse_pid(text) ? ""
                         : "'" + text + "' is not a thread id: a number from 1 to " + std::to_string(kPidMax);
}

std::string check_finding(const std::string& text) {
  const bool good = !text.empty() && text.size() <= kMostId && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
  return good ? "" : "'" + text + "' is not the id of a finding: loiter findings tells them";
}

std::string check_since(const std::string& text) {
  const std::optional<uint64_t> ns = parse_duration(text);
  if (!ns) return duration_error(text);
  return *ns >= kLeastSince ? "" : "'" + text + "' is too short: 1s or more";
}

std::string check_subject(const std::string& text) {
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (is_number) return check_pid(text);
  return text.empty() || text.size() > kMostName ? "'" + text + "' is neither a process id nor a name" : "";
}

std::string check_number(const std::string& text) {
  return parse_number(text).value_or(0) > 0 ? "" : "'" + text + "' is not a whole number of 1 or more";
}

std::string column_names(size_t line_width) {
  std::string names;
  size_t line = 0;
  for (const ProcessColumn& column : process_columns()) {
    const bool full = line + column.name.size() > line_width;
    names += (names.empty() ? "" : full ? ",\n" : ", ") + std::string(column.name);
    line = (full ? 0 : line + 2) + column.name.size();
  }
  return names;
}

std::string runtime_list() {
  std::string list;
  for (const std::string_view name : runtime_names()) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

std::string check_runtime(const std::string& text) {
  const auto names = runtime_names();
  return std::ranges::find(names, text) != names.end()
             ? ""
             : "there is no runtime '" + text + "': take one of " + runtime_list();
}

std::string check_column(const std::string& text) {
  return find_column(process_columns(), text)
             ? ""
             : "there is no column '" + text + "': take one of " + column_names(1000);
}

// --- the commands ----------------------------------------------------------------------------------

struct Description {
  Command command;
  const char* name;
  const char* brief;  // in the list of commands
  const char* about;  // in its own help
  const char* examples;
  bool takes_threshold;
};

constexpr std::array<Description, 15> kCommands{{
    {Command::top, "top", "the processes of this host, live",
     "The processes of this host live in the terminal, the longest blocked first; Enter opens the\n"
     "threads of one, ? shows the keys. Without a terminal, or with --once or --json, it prints one\n"
     "table and ends.",
     "  sudo loiter top\n  loiter top --interval 5s\n  loiter top --once > table.txt", true},
    {Command::ps, "ps", "the processes as one table",
     "Every process as one line of a table: how many threads it has, how many of them are blocked and\n"
     "how many overdue, and for how long and in which system call the longest blocked one has been.\n"
     "An age after ~ is estimated, one after >= is a lower bound.",
     "  loiter ps --sort overdue --limit 10\n  loiter ps --threshold 5m --json", true},
    {Command::tree, "tree", "the threads of one process",
     "The live threads of one process as a tree of who created whom, each with its name, state, for how\n"
     "long it has been blocked and in what. An age such as 3m12s..3m15s lies between the\n"
     "two, one after ~ is estimated, one after >= is a lower bound.",
     "  loiter tree 812\n  loiter tree 812 --ended\n  loiter tree 812 --origins", true},
    {Command::why, "why", "why a process stands still, in a paragraph",
     "Why one process stands still, as one paragraph: the thread that the others wait for (a deadlock\n"
     "first, else the one with the most waiters), what leads there and where in its code it is; else the\n"
     "thread that has been stuck for longest; else that none is known to be. Who has to end the wait for a\n"
     "condition variable or a semaphore, nobody can tell: such threads are taken for idle.",
     "  loiter why 812\n  loiter why 812 --json", false},
    {Command::chain, "chain", "who waits for whom, to the end",
     "The chains of threads that wait for each other by locks, joins, pipes and the like, the root with\n"
     "the most waiters first, each with what it waits for and how the chain ends. With a TID the chain of\n"
     "that thread. A deadlock is told as DEADLOCK; the exit code is 0 all the same.",
     "  loiter chain 812\n  loiter chain 812 814 --json", false},
    {Command::stacks, "stacks", "the stacks of a process' threads",
     "The stacks of the threads of one process, or of one of them, without stopping it; threads with the\n"
     "same stack are told together, the most common stack first. A stack that ends early says why.",
     "  loiter stacks 812\n  loiter stacks 812 814 --kernel\n  loiter stacks 812 --no-lines --json", false},
    {Command::unjoined, "unjoined", "threads that ended and were never joined",
     "The threads of one process that ended, are joinable and were never joined: how many by where they\n"
     "began, and the address space that their stacks still hold, as the C library's own lists have\n"
     "them; also those that ended before loiter looked. Child processes that nobody waited for as well.\n"
     "Ends with 1 where there is such a thread.",
     "  loiter unjoined 812\n  loiter unjoined 812 --json", false},
    {Command::origins, "origins", "where a process' threads were made, and how many",
     "The threads of one process, live and ended, by where they were made: the creator's stack at that\n"
     "moment, who made how many there, how many live, how long the ended ones lived; then births and ends\n"
     "over time. Known of threads that were made while a loiterd runs; without one, only of those made\n"
     "while this command looks: --for says how long.",
     "  loiter origins 812\n  loiter origins 812 --for 10s\n  loiter origins 812 --json", false},
    {Command::scan, "scan", "what is wrong on this host, once; the exit code tells",
     "Judges every thread: deadlocked, left waiting by who ended, stuck, and what else is a finding, with\n"
     "what it is found by and how such a thing is mended; then who is overdue: blocked past the\n"
     "threshold, also when that began long before. Ends with 1 on a finding of severity warning or above,\n"
     "else with 0; being overdue alone is none, unless --strict makes each one a finding.",
     "  loiter scan --threshold 1m\n  loiter scan --pid 812 --strict --json\n  loiter scan --for 30s", true},
    {Command::findings, "findings", "the findings, and those that come and go",
     "The findings that last, the worst first, each with its chain, the stack at its root, and how such a\n"
     "thing is mended; with --resolved also those that are gone, with --watch each as it is raised or\n"
     "resolved, until ^C. Ends with 1 on one of severity warning or above that lasts, else with 0.",
     "  loiter findings\n  loiter findings --pid 812 --json\n  loiter findings --watch", true},
    {Command::explain, "explain", "what led to a finding, and a rule to ignore it",
     "What led to one finding, also after it and its process are gone: by which rule it was found, what was\n"
     "measured against which threshold and how well it is known, what a rule of loiterd's configuration did\n"
     "to it, its chain and the stacks as they were. With --ignore a [[rule]] for /etc/loiter/loiterd.toml\n"
     "that ignores it and its like: read it before it is used. Ends with 3 where there is no such finding.",
     "  loiter explain stuck-812-00f1e2d3c4b5a697\n"
     "  loiter explain stuck-812-00f1e2d3c4b5a697 --ignore >> /etc/loiter/loiterd.toml",
     false},
    {Command::history, "history", "what was: findings and numbers of threads over time",
     "What loiterd has kept: the findings that were raised and resolved in the last 24 hours, or as long as\n"
     "--since says, and how many threads each process had over that time, as a line of bars: each stands "
     "for\n"
     "the most in its period, blanks are times in which no loiterd ran or the process did not. With a PID "
     "or\n"
     "a NAME (of the process or its program) of these alone. Where no loiterd runs, what the last one left "
     "is\n"
     "read. Ends with 3 where nothing is known of such a process, or nothing was kept.",
     "  loiter history\n  loiter history 812 --since 2h\n  loiter history nginx --since 7d --json", false},
    {Command::check, "check", "runs a command; do its threads end with it?",
     "Runs COMMAND, with its input, output and signals as they are, and looks at it when it is about to "
     "end:\n"
     "threads that still live, threads that nobody joined, deadlocks, stuck threads, each with where it was\n"
     "made and what it waits for. The report goes to stderr when COMMAND has ended; without findings there\n"
     "is none. What runs is the process that COMMAND becomes; with --follow the processes that it starts\n"
     "too. Threads that a language runtime makes for itself are not counted; all Java threads are among\n"
     "those.\n\n"
     "With --within, as with timeout(1), a command that is not done by then is ended, by SIGTERM and 5 s\n"
     "later by SIGKILL: the command alone, with --follow all that descend from it. Before that it is told\n"
     "what it hangs on; the exit code is 1 then, not 124. A command that ends in time, but with findings:\n"
     "1 as well.\n\n"
     "Exit codes: COMMAND's own if it is not 0 (death by a signal is repeated); else 1 with findings, 0\n"
     "without; 125 loiter itself failed, 126 COMMAND cannot be run, 127 it is not found. Needs root.",
     "  sudo loiter check -- ./unit_tests --gtest_filter='Pool.*'\n"
     "  sudo loiter check --within 5m --junit threads.xml -- make test\n"
     "  sudo loiter check --grace 2s --ignore 'log-*' --ignore 'grpc_core::*' -- python3 app.py\n"
     "  sudo loiter check --follow --json report.json -- sh -c 'first && second'",
     true},
    {Command::events, "events", "births, ends, execs and renames as they happen",
     "Births and ends of threads and processes, execs and renames, a line each as they happen, until\n"
     "^C. What the kernel could not hand over is told as 'lost'. With --json each line is one object.",
     "  loiter events --pid 812\n  loiter events --for 10s --json", false},
    {Command::doctor, "doctor", "what this kernel and these privileges allow",
     "What this kernel and these privileges allow: what works, what is missing, and what is degraded to\n"
     "what. Ends with 0 where all that is needed is there, with 3 where loiter cannot work here.",
     "  sudo loiter doctor", false},
}};

const Description& description_of(const CLI::App& command) {
  return *std::ranges::find(kCommands, command.get_name(), &Description::name);
}

// Options that are accepted before a command as well as after it.
void add_common(CLI::App& app, Raw& raw, bool threshold, bool prints_json = true) {
  app.add_option("--socket", raw.socket, "the daemon to ask, and no other")
      ->type_name("PATH")
      ->check(check_path);
  if (threshold)
    app.add_option("--threshold", raw.threshold, "a thread blocked for so long is overdue (30s)")
        ->type_name("D")
        ->check(check_duration);
  if (prints_json) app.add_flag("--json", raw.json, "JSON instead of text");
  app.add_flag("--kernel-threads", raw.kernel_threads, "threads of the kernel too");
}

void add_pid(CLI::App& command, Raw& raw, const std::string& about) {
  command.add_option("--pid", raw.pid, about)->type_name("PID")->check(check_pid);
}

void add_subject(CLI::App& command, Raw& raw, bool thread) {
  command.add_option("PID", raw.pid, "the process")->type_name("")->check(check_pid)->required();
  if (thread) command.add_option("TID", raw.tid, "this thread only")->type_name("")->check(check_tid);
}

void add_for(CLI::App& command, Raw& raw, const std::string& about) {
  command.add_option("--for", raw.look_for, about)->type_name("D")->check(check_duration);
}

std::string check_file(const std::string& text) {
  return text.empty() || text == "-" ? "'" + text + "' is no file; stdout is the command's" : "";
}

void add_check(CLI::App& command, Raw& raw) {
  command.add_option("--grace", raw.grace, "threads that still live get so long to end by themselves (0s)")
      ->type_name("D")
      ->check(check_duration);
  command.add_option("--within", raw.within, "it has to be done by then, or is ended")
      ->type_name("D")
      ->check(check_duration);
  command
      .add_option("--ignore", raw.ignore,
                  "leave out threads whose name, start routine or a function on the stack of whose\n"
                  "creation or wait matches (can be given again)")
      ->type_name("GLOB")
      ->allow_extra_args(false)
      ->check(
          [](const std::string& text) { return std::string(text.empty() ? "the pattern is empty" : ""); });
  command
      .add_option("--report-threads-of", raw.count_runtimes,
                  "count a runtime's own threads as well: " + runtime_list() + " (can be given again)")
      ->type_name("RUNTIME")
      ->allow_extra_args(false)
      ->check(check_runtime);
  command.add_flag("--follow", raw.follow, "the processes that it starts as well");
  command.add_option("--json", raw.json_file, "write the report as JSON into this file")
      ->type_name("FILE")
      ->check(check_file);
  command.add_option("--junit", raw.junit_file, "and as XML, as JUnit has it, into this one")
      ->type_name("FILE")
      ->check(check_file);
}

void add_options_of(CLI::App& command, Command which, Raw& raw) {
  switch (which) {
    case Command::top:
      command.add_flag("--once", raw.once, "one plain table");
      command.add_option("--interval", raw.interval, "time between two pictures (1s)")
          ->type_name("D")
          ->check(check_interval);
      break;
    case Command::ps:
      command.add_option("--sort", raw.sort, "column to sort by (oldest):\n" + column_names(60))
          ->type_name("COLUMN")
          ->check(check_column);
      command.add_option("--limit", raw.limit, "the first N processes only")
          ->type_name("N")
          ->check(check_number);
      break;
    case Command::tree:
      add_subject(command, raw, false);
      command.add_flag("--ended", raw.ended, "also the threads that ended a short while ago");
      command.add_flag("--origins", raw.origins, "also where each thread was made");
      break;
    case Command::scan:
      add_pid(command, raw, "this process only");
      add_for(command, raw, "look for this long before judging; ^C ends it early");
      command.add_flag("--strict", raw.strict, "each overdue thread is a finding");
      break;
    case Command::findings:
      add_pid(command, raw, "that concern this process only");
      command.add_flag("--resolved", raw.resolved, "also those that are gone");
      command.add_flag("--watch", raw.watch, "each as it comes and goes, until ^C");
      add_for(command, raw, "with --watch: end after this time");
      break;
    case Command::explain:
      command.add_option("ID", raw.finding, "the finding")->type_name("")->check(check_finding)->required();
      command.add_flag("--ignore", raw.print_rule, "print a rule that would ignore it");
      break;
    case Command::history:
      command.add_option("PID|NAME", raw.subject, "the process, or all of that name")
          ->type_name("")
          ->check(check_subject);
      command.add_option("--since", raw.since, "so long ago (24h)")->type_name("D")->check(check_since);
      command.add_option("--limit", raw.limit, "the first N processes and findings only (100)")
          ->type_name("N")
          ->check(check_number);
      break;
    case Command::events:
      add_pid(command, raw, "of this process, and the births of its children");
      command.add_flag(
          "--pthreads", raw.pthreads,
          "also its calls of pthread_create, join, detach and exit, by uprobes: with --pid, or of\n"
          "all processes where loiterd runs with --uprobes all");
      command.add_option("--count", raw.count, "end after N events")->type_name("N")->check(check_number);
      add_for(command, raw, "end after this time");
      break;
    case Command::stacks:
      add_subject(command, raw, true);
      command.add_flag("--kernel", raw.kernel_stacks, "what the kernel does for each thread too");
      command.add_flag("--no-lines", raw.no_lines, "symbols only: no files, lines and inlined frames");
      break;
    case Command::chain:
      add_subject(command, raw, true);
      break;
    case Command::why:
    case Command::unjoined:
      add_subject(command, raw, false);
      break;
    case Command::origins:
      add_subject(command, raw, false);
      add_for(command, raw, "look for this long first; ^C ends it early");
      break;
    case Command::check:
      add_check(command, raw);
      break;
    case Command::doctor:
      break;
  }
}

void add_commands(CLI::App& app, Raw& raw) {
  app.require_subcommand(0, 1);
  for (const Description& description : kCommands) {
    CLI::App* command = app.add_subcommand(description.name, description.brief);
    command->footer("Examples:\n" + std::string(description.examples));
    add_options_of(*command, description.command, raw);
    add_common(*command, raw, description.takes_threshold, description.command != Command::check);
  }
}

Options convert(const Raw& raw, Command command) {
  Options options;
  options.command = command;
  if (!raw.socket.empty()) options.socket = raw.socket;
  options.threshold_ns = parse_duration(raw.threshold);
  options.json = raw.json;
  options.kernel_threads = raw.kernel_threads;
  options.pid = parse_pid(raw.pid);
  options.tid = parse_pid(raw.tid);
  if (!raw.sort.empty()) options.sort = raw.sort;
  options.limit = parse_number(raw.limit);
  options.since_ns = parse_duration(raw.since);
  if (const auto pid = parse_pid(raw.subject))
    options.pid = pid;
  else
    options.name = raw.subject;
  options.ended = raw.ended;
  options.origins = raw.origins;
  options.count = parse_number(raw.count);
  options.for_ns = parse_duration(raw.look_for);
  options.strict = raw.strict;
  options.resolved = raw.resolved;
  options.watch = raw.watch;
  options.finding = raw.finding;
  options.print_rule = raw.print_rule;
  options.once = raw.once;
  options.kernel_stacks = raw.kernel_stacks;
  options.lines = !raw.no_lines;
  options.pthreads = raw.pthreads;
  if (!raw.interval.empty()) options.interval_ns = *parse_duration(raw.interval);
  options.grace_ns = parse_duration(raw.grace).value_or(0);
  options.within_ns = parse_duration(raw.within);
  options.ignore = raw.ignore;
  options.count_runtimes = raw.count_runtimes;
  options.follow = raw.follow;
  if (!raw.json_file.empty()) options.json_file = raw.json_file;
  if (!raw.junit_file.empty()) options.junit_file = raw.junit_file;
  return options;
}

EarlyExit wrong_usage(const std::string& complaint) {
  return {2, "", complaint};
}

// A code that the command could have ended with must not mean wrong usage.
EarlyExit wrong_usage_of_check(EarlyExit exit) {
  if (exit.code == 2) exit.code = 125;
  return exit;
}

// What `loiter check` is to run stands behind "--", and is not ours to understand.
std::optional<std::vector<std::string>> cut_command(std::vector<std::string>& words) {
  const auto mark = std::ranges::find(words, "--");
  if (mark == words.end() || std::find(words.begin(), mark, "check") == mark) return std::nullopt;
  std::vector<std::string> command(mark + 1, words.end());
  words.erase(mark, words.end());
  return command;
}

// What the command line parser has against it, in one line that names what to read.
EarlyExit complain_about(const CLI::App& app, const CLI::ParseError& error) {
  const auto commands = app.get_subcommands();
  if (!commands.empty()) {
    const std::string name = commands[0]->get_name();
    const EarlyExit exit = wrong_usage(std::string(error.what()) + " (see loiter " + name + " --help)");
    return name == "check" ? wrong_usage_of_check(exit) : exit;
  }
  for (const std::string& word : app.remaining())
    if (!word.starts_with("-")) return wrong_usage("there is no command '" + word + "' (see loiter --help)");
  return wrong_usage(std::string(error.what()) + " (see loiter --help)");
}

}  // namespace

std::optional<uint32_t> parse_pid(const std::string& text) {
  const std::optional<uint64_t> value = parse_number(text);
  if (!value || *value < 1 || *value > kPidMax) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

namespace {

std::string help_of(const CLI::App& command) {
  constexpr std::string_view kOptions = "[OPTIONS]";
  std::string text = command.help("loiter");
  const size_t at = text.find(kOptions);  // the command behind them is no option of CLI11's
  if (command.get_name() == "check" && at != text.npos)
    text.insert(at + kOptions.size(), " -- COMMAND [ARGUMENT]...");
  return text;
}

std::variant<Options, EarlyExit> parse_words(const std::vector<std::string>& words) {
  Raw raw;
  CLI::App app(
      "loiter finds the threads of this host that never leave: leaked, deadlocked, stuck on something\n"
      "that will not come. It asks the daemon loiterd, or starts one for itself where none runs, which\n"
      "needs root.",
      "loiter");
  app.set_version_flag("--version", std::string("loiter ") + kVersion);
  app.footer(
      "loiter COMMAND --help tells more. Lengths of time (D): 250ms, 30s, 1.5m, 1h30m.\n"
      "Exit codes: 0 done; 1 findings of severity warning or above; 2 wrong usage; 3 not possible here.");
  add_common(app, raw, true);
  add_commands(app, raw);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    const auto commands = app.get_subcommands();
    if (commands.empty()) return EarlyExit{0, app.help(), ""};
    commands[0]->description(description_of(*commands[0]).about);
    return EarlyExit{0, help_of(*commands[0]), ""};
  } catch (const CLI::CallForVersion& version) {
    return EarlyExit{0, std::string(version.what()) + "\n", ""};
  } catch (const CLI::ParseError& error) {
    return complain_about(app, error);
  }
  const auto commands = app.get_subcommands();
  if (commands.empty()) return EarlyExit{2, app.help(), ""};
  const Description& command = description_of(*commands[0]);
  if (!raw.threshold.empty() && !command.takes_threshold)
    return wrong_usage(std::string("--threshold has no meaning for loiter ") + command.name);
  if (command.command == Command::check && raw.json)
    return wrong_usage("--json before 'check' has no meaning: loiter check --json FILE");
  return convert(raw, command.command);
}

}  // namespace

std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& given) {
  std::vector<std::string> words = given;
  const auto command = cut_command(words);
  auto parsed = parse_words(words);
  Options* options = std::get_if<Options>(&parsed);
  const bool checks = command || (options && options->command == Command::check);
  if (!options) return checks ? wrong_usage_of_check(std::get<EarlyExit>(parsed)) : parsed;
  if (!checks) return parsed;
  if (options->command != Command::check) return wrong_usage("'--' has no meaning here (see loiter --help)");
  if (!command || command->empty())
    return wrong_usage_of_check(wrong_usage(
        "what to run is to stand behind '--': loiter check -- COMMAND (see loiter check --help)"));
  options->words = *command;
  return parsed;
}

}  // namespace loiter::cli
