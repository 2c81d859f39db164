// loiter: reads what the user asked for, reaches a daemon, runs the command.
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "cli/check/check.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace loiter::cli {
namespace {

// A descriptor of ours must not be taken for stdin, stdout or stderr where we were started without them.
void occupy_standard_fds() {
  int fd;
  // A command that we run is without them as well.
  while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= STDERR_FILENO) {
  }
  if (fd >= 0) close(fd);
}

int exit_code(const Error& error) {
  return error.kind == Error::Kind::usage ? 2 : 3;
}

int leave_early(const EarlyExit& exit) {
  const int fd = exit.code == 0 ? STDOUT_FILENO : STDERR_FILENO;
  if (!exit.complaint.empty()) complain(exit.complaint);
  if (!exit.out.empty()) print(fd, exit.out);
  return exit.code;
}

ConnectOptions connect_options(const Options& options) {
  ConnectOptions connect;
  connect.socket_path = options.socket;
  if (options.threshold_ns)
    connect.daemon_args = {"--threshold", std::to_string(*options.threshold_ns) + "ns"};
  if (options.kernel_threads) connect.daemon_args.push_back("--kernel-threads");
  return connect;
}

Result<int> run_command(Client& client, const Options& options, Output& out) {
  switch (options.command) {
    case Command::ps:
      return run_ps(client, options, out);
    case Command::tree:
      return run_tree(client, options, out);
    case Command::events:
      return run_events(client, options, out);
    case Command::findings:
      return run_findings(client, options, out);
    case Command::explain:
      return run_explain(client, options, out);
    case Command::history:
      return run_history(client, options, out);
    case Command::scan:
      return run_scan(client, options, out);
    case Command::top:
      return run_top(client, options, out);
    case Command::stacks:
      return run_stacks(client, options, out);
    case Command::chain:
      return run_chain(client, options, out);
    case Command::why:
      return run_why(client, options, out);
    case Command::unjoined:
      return run_unjoined(client, options, out);
    case Command::origins:
      return run_origins(client, options, out);
    case Command::check:  // below
      break;
    case Command::doctor:
      return run_doctor(&client, "", options, out);
  }
  return Error{Error::Kind::internal, "no such command"};
}

// A running daemon watches what it was told to watch.
void warn_of_kernel_threads(Client& client) {
  Result<nlohmann::json> status = client.get("/v1/status");
  if (status && status->value("kernel_threads", nlohmann::json()) == false)
    complain("the running daemon leaves kernel threads out: it must be started with --kernel-threads itself");
}

Result<int> connect_and_run(const Options& options, Output& out) {
  Result<std::unique_ptr<Client>> client = connect_to_daemon(connect_options(options));
  if (client) {
    if (options.kernel_threads && !(*client)->is_private()) warn_of_kernel_threads(**client);
    Result<int> code = run_command(**client, options, out);
    out.flush();  // nobody should wait for a private daemon to end
    return code;
  }
  if (options.command == Command::doctor) return run_doctor(nullptr, client.error().message, options, out);
  return client.error();
}

// The daemon has ended when this returns.
Result<CheckEnd> connect_and_check(const Options& options, const Inherited& inherited) {
  Result<std::unique_ptr<Client>> client = connect_to_daemon(connect_options(options));
  if (!client) return client.error();
  return run_check(**client, options, inherited);
}

int check(const Options& options, const Inherited& inherited) {
  constexpr int kOwnFailure = 125;
  try {
    const Result<CheckEnd> end = connect_and_check(options, inherited);
    if (end && end->signal) die_by(end->signal);
    if (end) return end->code;
    complain(end.error().message);
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return kOwnFailure;
}

int run(const std::vector<std::string>& words, const Inherited& inherited) {
  const std::variant<Options, EarlyExit> parsed = parse_options(words);
  if (const EarlyExit* exit = std::get_if<EarlyExit>(&parsed)) return leave_early(*exit);
  if (std::get<Options>(parsed).command == Command::check) return check(std::get<Options>(parsed), inherited);
  Output out(STDOUT_FILENO);
  Result<int> code = connect_and_run(std::get<Options>(parsed), out);
  Status written = out.finish();
  for (const Error* error : {code ? nullptr : &code.error(), written ? nullptr : &written.error()}) {
    if (!error) continue;
    complain(error->message);
    return exit_code(*error);
  }
  return *code;
}

}  // namespace
}  // namespace loiter::cli

int main(int argc, char** argv) {
  loiter::cli::occupy_standard_fds();
  setlocale(LC_ALL, "");
  loiter::cli::Inherited inherited;
  inherited.sigpipe = signal(SIGPIPE, SIG_IGN);  // a write tells
  try {
    return loiter::cli::run({argv + (argc > 0 ? 1 : 0), argv + argc}, inherited);
  } catch (const std::exception& error) {
    loiter::cli::complain(error.what());
    return 3;
  }
}
