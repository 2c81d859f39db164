#include "tests/lib/corpus.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include "tests/lib/await.h"
#include "tests/lib/paths.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// "a|b" is either.
std::vector<std::string> alternatives(const json& text) {
  std::vector<std::string> list;
  if (!text.is_string()) return list;
  const auto whole = text.get<std::string>();
  for (size_t at = 0; at <= whole.size();) {
    const size_t end = std::min(whole.find('|', at), whole.size());
    list.push_back(whole.substr(at, end - at));
    at = end + 1;
  }
  return list;
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::ranges::find(list, text) != list.end();
}

// `name` stands in `symbol`, and is not part of a longer one.
bool has_name(const std::string& symbol, const std::string& name) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = symbol.find(name); at != symbol.npos; at = symbol.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !is_part(symbol[at - 1])) && (end == symbol.size() || !is_part(symbol[end]))) return true;
  }
  return false;
}

// All symbols that a thread of a finding has: on its stack, where it began, and where it was made.
std::vector<std::string> symbols_of(const json& thread) {
  std::vector<std::string> symbols;
  const auto add = [&](const json& object, const char* key) {
    if (object.is_object() && object.contains(key) && object[key].is_string())
      symbols.push_back(object[key].get<std::string>());
  };
  for (const json& frame : thread.at("stack")) add(frame, "symbol");
  add(thread.at("start_routine"), "symbol");
  add(thread.at("start_routine"), "callable");
  return symbols;
}

bool has_culprit_function(const json& finding, const json& entry) {
  const std::vector<std::string> names = alternatives(entry.at("culprit_function"));
  if (names.empty()) return true;
  std::vector<std::string> symbols;
  for (const json& thread : finding.at("threads")) {
    for (std::string& symbol : symbols_of(thread)) symbols.push_back(std::move(symbol));
    if (finding.at("kind") == "stuck" || finding.at("kind") == "orphan") break;  // the root's
  }
  const json& evidence = finding.at("evidence");
  for (const char* key : {"start_routines", "start_routine", "site"})
    if (evidence.contains(key) && evidence[key].is_string()) symbols.push_back(evidence[key]);
  // Without its debug symbols the library's own has no name; the truth says so.
  if (contains(names, "execute_native_thread_routine")) return true;
  return std::ranges::any_of(symbols, [&](const std::string& symbol) {
    return std::ranges::any_of(names, [&](const std::string& name) { return has_name(symbol, name); });
  });
}

bool is_culprit(const json& finding, const json& entry) {
  std::vector<std::string> names = alternatives(entry.at("culprit_thread"));
  if (entry.contains("or_threads") && finding.at("kind") != entry.at("kind"))
    for (const std::string& name : alternatives(entry["or_threads"])) names.push_back(name);
  if (names.empty() || finding.at("kind") == "unjoined")
    return true;  // ended threads may have no name any more
  if (finding.at("threads").empty()) return false;
  if (finding.at("kind") != "deadlock") return contains(names, finding.at("threads")[0].at("name"));
  const auto chain = finding.at("chain").get<size_t>();
  for (size_t i = 0; i < chain; ++i)
    if (!contains(names, finding.at("threads")[i].at("name"))) return false;
  return true;
}

}  // namespace

std::vector<json> corpus_entries(const std::string& mode) {
  std::ifstream file(build_dir() + "/tests/corpus/expected.json");
  std::vector<json> entries;
  for (const json& entry : json::parse(file))
    if (entry.at("mode") == mode) entries.push_back(entry);
  return entries;
}

std::unique_ptr<CorpusProgram> start_corpus(const std::string& name, const std::string& mode,
                                            uint64_t scale_ms) {
  for (const json& entry : corpus_entries(mode)) {
    if (entry.at("name") != name) continue;
    auto program = std::make_unique<CorpusProgram>(entry, scale_ms);
    if (!program->is_ready()) throw std::runtime_error(name + " does not come to its state");
    return program;
  }
  throw std::runtime_error("there is no program " + name);
}

CorpusProgram::CorpusProgram(const json& entry, uint64_t scale_ms)
    : entry_(entry),
      process_(std::make_unique<Subprocess>(
          std::vector<std::string>{build_dir() + "/tests/corpus/" + entry.at("name").get<std::string>(),
                                   entry.at("mode").get<std::string>(), std::to_string(scale_ms)},
          SpawnOptions{.stdout_to_memory = true})) {}

bool CorpusProgram::is_ready() {
  const auto line_came = [&] { return process_->stdout_text().find('\n') != std::string::npos; };
  if (!await(name() + " is ready", [&] { return line_came() || !process_->alive(); }) || !line_came())
    return false;
  const json line = json::parse(process_->stdout_text().substr(0, process_->stdout_text().find('\n')));
  pids_.insert(static_cast<uint32_t>(pid()));
  if (entry_.contains("alias"))
    for (const json& pid : line.at(entry_["alias"].get<std::string>())) pids_.insert(pid.get<uint32_t>());
  return true;
}

bool is_expected(const json& finding, const json& entry, std::string& why) {
  const std::string kind = finding.at("kind");
  const bool is_kind = kind == entry.at("kind");
  const json or_kinds = entry.value("or_kinds", json::array());
  if (!is_kind && std::ranges::find(or_kinds, json(kind)) == or_kinds.end()) {
    why = "it is a " + kind;
    return false;
  }
  if (is_kind && !contains(alternatives(entry.at("certainty")), finding.at("certainty")))
    why = "it is " + finding.at("certainty").get<std::string>();
  else if (is_kind && finding.at("severity") != entry.at("severity"))
    why = "it is of severity " + finding.at("severity").get<std::string>();
  else if (!is_culprit(finding, entry))
    why = "it names another thread";
  else if (!has_culprit_function(finding, entry))
    why = "the culprit function is not there";
  else if (is_kind && finding.at("count") < entry.at("count"))
    why = "it counts only " + finding.at("count").dump();
  else
    return true;
  return false;
}

bool is_allowed(const json& finding, const json& entry) {
  if (finding.at("severity") == "info") return true;
  const json also = entry.value("also", json::array());
  std::string why;
  return std::ranges::find(also, finding.at("kind")) != also.end() || is_expected(finding, entry, why);
}

}  // namespace loiter::test
