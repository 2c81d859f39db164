// The commands of loiter: each asks the daemon and writes its result. They return the exit code of DESIGN.md
// section 8, or why there is no result.
//
// Called by main, on its thread.
#pragma once

#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "daemon/base/result.h"

namespace loiter::cli {

Result<int> run_ps(Client& client, const Options& options, Output& out);
Result<int> run_tree(Client& client, const Options& options, Output& out);
Result<int> run_stacks(Client& client, const Options& options, Output& out);
Result<int> run_chain(Client& client, const Options& options, Output& out);
Result<int> run_why(Client& client, const Options& options, Output& out);
Result<int> run_unjoined(Client& client, const Options& options, Output& out);
Result<int> run_origins(Client& client, const Options& options, Output& out);
Result<int> run_events(Client& client, const Options& options, Output& out);
Result<int> run_findings(Client& client, const Options& options, Output& out);
Result<int> run_explain(Client& client, const Options& options, Output& out);
Result<int> run_history(Client& client, const Options& options, Output& out);
Result<int> run_scan(Client& client, const Options& options, Output& out);

// The interactive view where stdout is a terminal, else one table.
Result<int> run_top(Client& client, const Options& options, Output& out);

// `client` is null where there is no daemon, for the reason `why_none`: then it looks for itself.
Result<int> run_doctor(Client* client, const std::string& why_none, const Options& options, Output& out);

}  // namespace loiter::cli
