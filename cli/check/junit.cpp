#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/check/report.h"
#include "cli/finding_text.h"
#include "cli/json_read.h"
#include "cli/stack_text.h"
#include "cli/thread_traits.h"
#include "daemon/base/bytes.h"

namespace loiter::cli {
namespace {

using nlohmann::json;

constexpr auto kKinds =
    std::to_array<std::string_view>({"live_at_exit", "unjoined", "deadlock", "orphan", "stuck", "timeout"});

// `text`: valid UTF-8 without control characters, but for newlines.
std::string entities(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
        out += "&#10;";  // in an attribute a newline itself would become a blank
        break;
      default:
        out += text[i];
    }
  }
  // Valid UTF-8, and yet no characters of XML.
  for (const auto& [none, told] :
       {std::pair{"\xef\xbf\xbe", "\\ufffe"}, std::pair{"\xef\xbf\xbf", "\\uffff"}})
    for (size_t at; (at = out.find(none)) != out.npos;) out.replace(at, 3, told);
  return out;
}

std::string attribute(const char* name, std::string_view value) {
  return std::string(" ") + name + "=\"" + escape_for_xml(value) + "\"";
}

std::string seconds(uint64_t ns) {
  std::array<char, 32> text{};
  snprintf(text.data(), text.size(), "%.3f", static_cast<double>(ns) / 1e9);
  return text.data();
}

// What stays the same from run to run, so that a CI system knows the case again: no numbers of threads.
std::string case_name(const json& finding) {
  std::string name = finding.at("kind").get<std::string>();
  const json& threads = finding.at("threads");
  if (threads.empty() || name == "timeout") return name;
  const ThreadTraits traits = traits_of(threads[0]);
  if (traits.routine && (traits.routine->callable || traits.routine->symbol))
    return name + ": " + traits.routine->callable.value_or(traits.routine->symbol.value_or(""));
  return traits.name.empty() ? name : name + ": " + traits.name;
}

std::string failure_of(const CheckReport& report, const ProcessVerdict& process, const json& finding) {
  CheckReport one = report;
  one.processes = {process};
  one.processes[0].findings = json::array({finding});
  one.troubles.clear();
  std::string text;
  for (const std::string& line : check_lines(one)) text += line + "\n";
  return "    <failure" + attribute("type", finding.at("kind").get<std::string>()) +
         attribute("message", finding.at("summary").get<std::string>()) + ">" + entities(text) +
         "</failure>\n";
}

}  // namespace

std::string escape_for_xml(std::string_view bytes) {
  std::string shown;
  for (size_t begin = 0; begin <= bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    shown += escape_for_terminal(bytes.substr(begin, end - begin)) + (end < bytes.size() ? "\n" : "");
    begin = end + 1;
  }
  return entities(shown);
}

std::string check_junit(const CheckReport& report) {
  std::set<std::string> found;
  std::string cases;
  const std::string suite = report.command.empty() ? "" : std::string(base_name(report.command[0]));
  const auto open = [&](const std::string& name) {
    return "  <testcase" + attribute("classname", "loiter." + suite) + attribute("name", name) +
           attribute("time", seconds(report.ran_ns));
  };
  size_t tests = 0, failures = 0;
  for (const ProcessVerdict& process : report.processes)
    for (const json& finding : process.findings) {
      found.insert(finding.at("kind").get<std::string>());
      ++tests, ++failures;
      cases += open(case_name(finding)) + ">\n" + failure_of(report, process, finding) + "  </testcase>\n";
    }
  for (const std::string_view kind : kKinds) {
    if (found.contains(std::string(kind))) continue;
    ++tests;
    cases += open(std::string(kind)) + "/>\n";
  }
  // loiter could not do what it was asked for.
  if (!report.troubles.empty()) {
    ++tests;
    cases += open("looked at") + ">\n    <error" + attribute("message", report.troubles[0]) +
             "/>\n  </testcase>\n";
  }
  const std::string counts = attribute("tests", std::to_string(tests)) +
                             attribute("failures", std::to_string(failures)) +
                             attribute("errors", report.troubles.empty() ? "0" : "1");
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite" +
         attribute("name", "loiter check") + counts + attribute("time", seconds(report.ran_ns)) + ">\n" +
         cases + "</testsuite>\n</testsuites>\n";
}

}  // namespace loiter::cli
