#include "cli/event_text.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/base/bytes.h"
#include "daemon/base/duration.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

std::string number(const json& event, const char* key) {
  return std::to_string(event.at(key).get<uint64_t>());
}

std::string quoted(const json& event, const char* key) {
  if (event.at(key).is_null()) return "?";
  return "'" + escape_for_terminal(event.at(key).get<std::string>()) + "'";
}

bool known(const json& event, const char* key) {
  auto found = event.find(key);
  return found != event.end() && !found->is_null();
}

// "2026-11-21T06:18:04.123456789Z" to the microsecond: below that the order of the lines says more.
std::string time_of(const json& event) {
  std::string time = escape_for_terminal(event.at("time").get<std::string>());
  const size_t dot = time.find('.');
  if (dot != time.npos && time.size() > dot + 7) time = time.substr(0, dot + 7) + "Z";
  return time;
}

std::string end_of(const json& event) {
  std::string text;
  if (known(event, "signal"))
    text = " by signal " + number(event, "signal");
  else if (known(event, "exit_code"))
    text = " code " + std::to_string(event.at("exit_code").get<int64_t>());
  if (known(event, "cpu_ns"))
    text += " after " + format_duration(event.at("cpu_ns").get<uint64_t>()) + " CPU";
  return text;
}

std::string word(const json& event, const char* key) {
  return known(event, key) ? escape_for_terminal(event.at(key).get<std::string>()) : "?";
}

// Which uprobes are in place from here on.
std::string probes_of(const json& event) {
  std::string text = "probes  " + number(event, "pid");
  if (!event.at("placed").empty()) text += " on";
  const char* separator = " ";
  for (const json& function : event.at("placed")) {
    text += separator + escape_for_terminal(function.get<std::string>());
    separator = ", ";
  }
  for (const json& failure : event.at("failed"))
    text += "; none on " + (known(failure, "function") ? word(failure, "function") : "any function") +
            (known(failure, "library") ? " of " + word(failure, "library") : "") + ": " +
            word(failure, "reason");
  return text;
}

std::string call_of(const json& event) {
  std::string text =
      "call    " + number(event, "pid") + "/" + number(event, "tid") + " " + word(event, "function") + "(";
  if (known(event, "routine"))
    text += "routine " + word(event, "routine") + ", argument " + word(event, "argument") +
            (event.at("detached") == true ? ", detached" : "");
  else if (known(event, "argument"))
    text += word(event, "argument");
  else
    text += word(event, "pthread");
  return text + ")";
}

std::string describe(const json& event) {
  const std::string type = event.at("type");
  if (type == "start") return "start   watching";
  if (type == "lost")
    return "lost    " + number(event, "count") + " (" +
           escape_for_terminal(event.at("cause").get<std::string>()) + ")";
  if (type == "probes") return probes_of(event);
  if (type == "finding")
    return "finding " + word(event, "change") + " " + word(event.at("finding"), "severity") + " " +
           word(event.at("finding"), "kind") + ": " + word(event.at("finding"), "summary");
  if (type == "pthread") return call_of(event);
  const std::string task = number(event, "pid") + "/" + number(event, "tid") + " " + quoted(event, "name");
  if (type == "birth")
    return "birth   " + task + (event.value("process", false) ? " process" : " thread") + " made by " +
           number(event, "creator_pid") + "/" + number(event, "creator_tid");
  if (type == "exec") {
    std::string text = "exec    " + task + " runs " + quoted(event, "filename");
    if (event.at("old_tid") != event.at("tid")) text += ", was thread " + number(event, "old_tid");
    return text;
  }
  if (type == "exit") return "exit    " + task + end_of(event);
  if (type == "rename") return "rename  " + task + " was " + quoted(event, "old_name");
  return escape_for_terminal(event.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

std::string event_line(const json& event) {
  try {
    return time_of(event) + "  " + describe(event);
  } catch (const json::exception&) {
    return escape_for_terminal(event.dump(-1, ' ', false, json::error_handler_t::replace));
  }
}

}  // namespace loiter::cli
