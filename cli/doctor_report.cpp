#include "cli/doctor_report.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/text_table.h"
#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* key) {
  return escape_for_terminal(object.at(key).get<std::string>());
}

std::string count(const json& object, const char* key) {
  return std::to_string(object.at(key).get<uint64_t>());
}

std::string length(const json& object, const char* key) {
  return format_duration(object.at(key).get<uint64_t>());
}

std::string mebibytes(const json& bytes) {
  std::array<char, 32> buffer;
  snprintf(buffer.data(), buffer.size(), "%.1f MiB", bytes.get<double>() / (1024.0 * 1024.0));
  return buffer.data();
}

json check_of(const std::string& name, const char* state, const std::string& detail) {
  return {{"name", name}, {"state", state}, {"detail", detail}};
}

void judge_uprobes(json& check, const json& uprobes) {
  if (!uprobes.at("hit_failure").is_null()) {
    check["state"] = "degraded";
    check["detail"] = uprobes.at("hit_failure");
  } else if (const json way = uprobes.value("way", json()); way == "tracefs") {
    check["detail"] =
        "calls of thread libraries are seen, by names in tracefs: uprobe.multi is not right here";
  } else if (!way.is_null()) {
    check["detail"] = "calls of thread libraries are seen, by " + way.get<std::string>();
  }
}

// In one line; empty: none, or a daemon that does not tell.
std::string config_failure(const json& status) {
  const auto config = status.find("config");
  if (config == status.end() || config->at("failed").is_null()) return "";
  std::string lines = config->at("failed");
  for (size_t at = lines.find('\n'); at != lines.npos; at = lines.find('\n', at)) lines.replace(at, 1, "; ");
  return lines;
}

// Why it is not written, or what was set aside; empty: all is well, or a daemon that does not tell.
std::string history_failure(const json& status) {
  const auto history = status.find("history");
  if (history == status.end()) return "";
  if (!history->at("failure").is_null()) return history->at("failure").get<std::string>();
  std::string names;
  for (const json& name : history->at("set_aside"))
    names += (names.empty() ? "begun anew, set aside: " : ", ") + name.get<std::string>();
  return names;
}

// Features and capabilities of a daemon as checks: it runs, so what is missing only degrades it.
json checks_of(const json& status) {
  json checks = json::array();
  for (const json& feature : status.at("features"))
    checks.push_back(
        {{"name", feature.at("name")}, {"state", feature.at("state")}, {"detail", feature.at("detail")}});
  // Tried out just now: more than the daemon could know when it began.
  const auto uprobes = status.find("uprobes");
  if (uprobes != status.end())
    for (json& check : checks)
      if (check.at("name") == "uprobes") judge_uprobes(check, *uprobes);
  for (const json& capability : status.at("capabilities"))
    checks.push_back({{"name", capability.at("name")},
                      {"state", capability.at("held") == true ? "ok" : "missing"},
                      {"detail", capability.at("reason")}});
  const json& census = status.at("census");
  if (const uint64_t failed = census.at("failed"))
    checks.push_back(
        check_of("census", "degraded", std::to_string(failed) + " passes failed: see the daemon's log"));
  if (const std::string failed = config_failure(status); !failed.empty())
    checks.push_back(check_of("config", "degraded", "the file as it is now is not taken: " + failed));
  if (const std::string failed = history_failure(status); !failed.empty())
    checks.push_back(check_of("history", "degraded", failed));
  return checks;
}

void add_checks(std::vector<std::string>& lines, const json& checks) {
  TextTable table;
  for (int i = 0; i < 3; ++i) table.add_column("");
  for (const json& check : checks)
    table.add_row({"  " + text(check, "state"), text(check, "name"), text(check, "detail")});
  for (std::string& line : table.lines()) lines.push_back(std::move(line));
}

void add_losses(std::vector<std::string>& lines, const json& status) {
  if (status.at("losses_total") == 0) {
    lines.push_back("losses: none");
    return;
  }
  lines.push_back("losses: " + count(status, "losses_total") +
                  ", those of events set right by the next census");
  for (const json& loss : status.at("losses"))
    if (loss.at("count") != 0)
      lines.push_back("  " + count(loss, "count") + " " + text(loss, "cause") + ": " + text(loss, "detail"));
}

// Of a daemon that knows of them: what a hit costs here, where they are, and where they could not be placed.
void add_uprobes(std::vector<std::string>& lines, const json& status) {
  const auto found = status.find("uprobes");
  if (found == status.end()) return;
  const json& uprobes = *found;
  std::string line = "uprobes: " + text(uprobes, "mode") + ", " + count(uprobes, "placed") + " in place";
  if (uprobes.at("libraries") != 0) line += " in " + count(uprobes, "libraries") + " libraries of this host";
  if (!uprobes.at("processes").empty())
    line += " in " + std::to_string(uprobes.at("processes").size()) + " processes";
  if (!uprobes.at("hit_ns").is_null())
    line += "; a hit costs its thread " + length(uprobes, "hit_ns") + " here";
  if (!uprobes.at("hit_failure").is_null()) line += "; cannot be had: " + text(uprobes, "hit_failure");
  lines.push_back(line);
  if (uprobes.value("names_left", 0) != 0)
    lines.push_back("  " + count(uprobes, "names_left") +
                    " names in tracefs' uprobe_events that cannot be removed yet: somebody else uses them");
  if (uprobes.at("failed") != 0) lines.push_back("  " + count(uprobes, "failed") + " could not be placed:");
  for (const json& failure : uprobes.at("failures"))
    lines.push_back(
        "  " + count(failure, "count") + " " +
        (failure.at("function").is_null() ? "all functions" : text(failure, "function")) + " of " +
        (failure.at("library").is_null() ? "process " + count(failure, "pid") : text(failure, "library")) +
        ": " + text(failure, "reason"));
}

void add_config(std::vector<std::string>& lines, const json& status) {
  const auto config = status.find("config");
  if (config == status.end()) return;
  const std::string path = "configuration: " + text(*config, "path");
  if (!config->at("loaded").is_null())
    lines.push_back(path + ", " + count(*config, "rules") + " rules, read " + text(*config, "loaded"));
  else
    lines.push_back(path + (config->at("failed").is_null() ? ": not there" : ": not taken") +
                    ", all is as built in");
}

void add_status(std::vector<std::string>& lines, const json& status) {
  const json& host = status.at("host");
  const json& census = status.at("census");
  const json& memory = status.at("memory");
  lines.push_back("host " + text(host, "name") + ", Linux " + text(host, "kernel") + " " +
                  text(host, "arch") + ", " + count(host, "cpus") + " CPUs");
  lines.push_back(std::string("loiterd ") + text(status, "version") +
                  (status.at("private") == true ? ", started for this look" : ", running") + ", pid " +
                  count(status, "pid") + ", up " + length(status, "uptime_ns") + ", kernel threads " +
                  (status.at("kernel_threads") == true ? "watched" : "left out"));
  lines.push_back("census: " + count(census, "threads") + " threads read in " + length(census, "read_ns") +
                  ", published after " + length(census, "publish_ns") + ", every " +
                  length(status, "census_interval_ns"));
  add_config(lines, status);
  add_losses(lines, status);
  add_uprobes(lines, status);
  lines.push_back("memory: " + mebibytes(memory.at("pss_bytes")) + ", BPF maps " +
                  mebibytes(memory.at("bpf_bytes")));
  for (const json& map : memory.at("bpf_maps"))
    lines.push_back("  " + mebibytes(map.at("bytes")) + " " + text(map, "name"));
}

std::string verdict(const json& document) {
  if (document.at("works") != true) return "loiter cannot work here: " + text(document, "reason");
  std::string impaired;
  for (const json& check : document.at("checks"))
    if (check.at("state") != "ok") impaired += (impaired.empty() ? "" : ", ") + text(check, "name");
  return impaired.empty() ? "loiter works here, with all it can use"
                          : "loiter works here, with less in: " + impaired;
}

}  // namespace

json doctor_document(const json& status, const std::string& reason, const std::vector<Check>& checks) {
  json document{{"schema", 1}, {"works", status.is_object()}, {"checks", json::array()}, {"reason", nullptr}};
  if (status.is_object()) {
    document["checks"] = checks_of(status);
  } else {
    document["reason"] = reason;
    for (const Check& check : checks)
      document["checks"].push_back(check_of(check.name, to_string(check.state), check.detail));
  }
  document["status"] = status;
  return document;
}

std::vector<std::string> doctor_lines(const json& document) {
  std::vector<std::string> lines;
  const json& status = document.at("status");
  if (status.is_object()) add_status(lines, status);
  lines.push_back(status.is_object() ? "features and privileges:" : "looked up without a daemon:");
  add_checks(lines, document.at("checks"));
  lines.push_back(verdict(document));
  return lines;
}

}  // namespace loiter::cli
