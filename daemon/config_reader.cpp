// parse_config(): the only file that is compiled with the TOML library, which takes its time.
#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "daemon/base/near_name.h"
#include "daemon/config.h"
#include "daemon/settings.h"

namespace loiter {
namespace {

// The TOML library takes some wrong files for its own mistakes, as "[:x]" (3.3.0): a daemon must not
// be aborted by what somebody wrote into a file.
struct BeyondTheLibrary {};
[[noreturn]] void give_up() {
  throw BeyondTheLibrary();
}

}  // namespace
}  // namespace loiter

#define TOML_ASSERT(condition) (static_cast<bool>(condition) ? static_cast<void>(0) : loiter::give_up())
// Values in values; keys with dots are bounded below.
#define TOML_MAX_NESTED_VALUES 16
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace loiter {
namespace {

constexpr size_t kMostErrors = 50;     // told; more are counted
constexpr size_t kMostShown = 100;     // bytes of a value
constexpr size_t kMostPattern = 1024;  // bytes of a glob or reason
// A key of n dots makes n tables in each other, which are taken down by as many calls.
constexpr size_t kMostDots = 64;

struct Problem {
  toml::source_position at;
  std::string text;
};

std::string quoted(std::string_view text) {
  return "'" + std::string(text.substr(0, kMostShown)) + (text.size() > kMostShown ? "…" : "") + "'";
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const char* name_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

const char* wanted(SettingType type) {
  switch (type) {
    case SettingType::length:
      return "a length as a string, such as \"30s\"";
    case SettingType::number:
      return "a whole number";
    case SettingType::flag:
      return "true or false";
    case SettingType::word:
    case SettingType::path:
      return "a string";
  }
  return "";
}

std::vector<std::string> finding_kinds() {
  std::vector<std::string> words;
  for (int i = 0; i <= static_cast<int>(FindingKind::overdue); ++i)
    words.emplace_back(to_string(static_cast<FindingKind>(i)));
  return words;
}

bool kind_is_known(const std::string& glob) {
  return std::ranges::any_of(finding_kinds(),
                             [&](const std::string& word) { return glob_matches(glob, word); });
}

// Goes through the tables of a file, and takes note of all that is wrong.
class Reader {
 public:
  explicit Reader(const DaemonOptions& flags) : flags_(flags) {}

  void read(const toml::table& file);
  Config take(const std::string& path) &&;
  std::vector<Problem>& problems() { return problems_; }

 private:
  void complain(const toml::source_region& where, std::string text) {
    problems_.push_back({where.begin, std::move(text)});
  }
  void complain_of_key(const toml::key& key, const char* what, const std::vector<std::string>& names);
  // Its text, as Setting::set() takes it; nothing: of another type, which was told.
  std::optional<std::string> text_of(const std::string& name, SettingType type, const toml::node& value);
  std::string string_of(const std::string& name, const toml::node& value);
  void read_thresholds(const toml::node& node);
  void read_rules(const toml::node& node);
  void read_rule(const toml::table& table);
  void read_rule_key(Rule& rule, const toml::key& key, const toml::node& value);
  void read_match(Rule& rule, RuleFact fact, const std::string& name, const toml::node& value);
  void read_user(Rule& rule, const toml::node& value);
  void check_purpose(const Rule& rule, const toml::table& table);
  void check_rule(const Rule& rule, const toml::table& table);

  const DaemonOptions& flags_;
  DaemonOptions options_;
  std::vector<std::pair<const ThresholdSetting*, std::string>> thresholds_;
  std::vector<Rule> rules_;
  std::vector<std::string> warnings_;
  std::vector<Problem> problems_;
};

void Reader::complain_of_key(const toml::key& key, const char* what, const std::vector<std::string>& names) {
  const std::string near = near_name(key.str(), names);
  complain(key.source(),
           "there is no " + std::string(what) + " " + quoted(key.str()) +
               (near.empty() ? ": take one of " + joined(names) : ": did you mean '" + near + "'?"));
}

std::optional<std::string> Reader::text_of(const std::string& name, SettingType type,
                                           const toml::node& value) {
  switch (type) {
    case SettingType::number:
      if (const auto* number = value.as_integer()) return std::to_string(number->get());
      break;
    case SettingType::flag:
      if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
      break;
    default:
      if (const auto* text = value.as_string()) return text->get();
  }
  complain(value.source(), name + " must be " + wanted(type) + ", not " + name_of(value.type()));
  return std::nullopt;
}

void Reader::read(const toml::table& file) {
  std::vector<std::string> names{"thresholds", "rule"};
  for (const Setting& setting : settings()) names.emplace_back(setting.name);
  for (const auto& [key, value] : file) {
    if (key.str() == "thresholds") {
      read_thresholds(value);
    } else if (key.str() == "rule") {
      read_rules(value);
    } else if (const Setting* setting = find_setting(key.str())) {
      const auto text = text_of(setting->name, setting->type, value);
      const std::string wrong = text ? setting->set(options_, *text) : "";
      if (!wrong.empty()) complain(value.source(), std::string(setting->name) + ": " + wrong);
    } else {
      complain_of_key(key, "setting", names);
    }
  }
}

void Reader::read_thresholds(const toml::node& node) {
  const toml::table* table = node.as_table();
  if (!table) {
    complain(node.source(),
             std::string("thresholds must be a table, [thresholds], not ") + name_of(node.type()));
    return;
  }
  std::vector<std::string> names;
  for (const ThresholdSetting& setting : threshold_settings()) names.emplace_back(setting.name);
  for (const auto& [key, value] : *table) {
    const ThresholdSetting* setting = find_threshold_setting(key.str());
    if (!setting) {
      complain_of_key(key, "threshold", names);
      continue;
    }
    const auto text = text_of(setting->name, setting->type, value);
    if (!text) continue;
    Thresholds tried;
    const std::string wrong = setting->set(tried, *text);
    if (!wrong.empty()) complain(value.source(), std::string(setting->name) + ": " + wrong);
    thresholds_.emplace_back(setting, *text);
  }
}

void Reader::read_rules(const toml::node& node) {
  const toml::array* array = node.as_array();
  if (!array) {
    complain(node.source(),
             std::string("rule must be an array of tables, [[rule]], not ") + name_of(node.type()));
    return;
  }
  if (array->size() > kMostRules) {
    complain((*array)[kMostRules].source(), "more than " + std::to_string(kMostRules) + " rules");
    return;
  }
  for (const toml::node& element : *array)
    if (const toml::table* table = element.as_table())
      read_rule(*table);
    else
      complain(element.source(),
               std::string("a rule must be a table, [[rule]], not ") + name_of(element.type()));
}

void Reader::read_rule(const toml::table& table) {
  Rule rule;
  rule.line = table.source().begin.line;
  const size_t before = problems_.size();
  for (const auto& [key, value] : table) read_rule_key(rule, key, value);
  if (problems_.size() == before) check_purpose(rule, table);
  check_rule(rule, table);
  rules_.push_back(std::move(rule));
}

void Reader::read_rule_key(Rule& rule, const toml::key& key, const toml::node& value) {
  for (const auto& [fact, name] : kRuleFacts)
    if (key.str() == name) return read_match(rule, fact, name, value);
  if (key.str() == "user") return read_user(rule, value);
  if (key.str() == "ignore") {
    rule.ignore = text_of("ignore", SettingType::flag, value) == "true";
  } else if (key.str() == "threshold") {
    const auto text = text_of("threshold", SettingType::length, value);
    std::string wrong;
    if (text) rule.threshold_ns = length_in(*text, wrong);
    if (!wrong.empty()) complain(value.source(), "threshold: " + wrong);
  } else if (key.str() == "severity") {
    const std::string word = string_of("severity", value);
    for (const Severity severity : {Severity::info, Severity::warning, Severity::critical})
      if (word == to_string(severity)) rule.severity = severity;
    if (!word.empty() && !rule.severity)
      complain(value.source(), "severity: " + quoted(word) + " is none of info, warning, critical");
  } else if (key.str() == "reason") {
    rule.reason = string_of("reason", value);
  } else {
    std::vector<std::string> names;
    for (const auto& [fact, name] : kRuleFacts) names.emplace_back(name);
    for (const char* name : {"user", "ignore", "threshold", "severity", "reason"}) names.emplace_back(name);
    complain_of_key(key, "key of a rule", names);
  }
}

// Empty: none that is any good, which was told.
std::string Reader::string_of(const std::string& name, const toml::node& value) {
  const auto text = text_of(name, SettingType::word, value);
  if (!text) return "";
  std::string wrong;
  if (text->empty()) wrong = " is empty: leave it out";
  if (text->size() > kMostPattern) wrong = " is too long: up to " + std::to_string(kMostPattern) + " bytes";
  if (text->find('\0') != text->npos) wrong = " holds a NUL, which no name does";
  if (wrong.empty()) return *text;
  complain(value.source(), name + wrong);
  return "";
}

// Kinds are known, so a pattern that none fits is a mistake.
void Reader::read_match(Rule& rule, RuleFact fact, const std::string& name, const toml::node& value) {
  const std::string glob = string_of(name, value);
  std::vector<std::string> words;
  if (fact == RuleFact::kind) words = finding_kinds();
  if (fact == RuleFact::wait)
    for (int i = 0; i <= static_cast<int>(WaitKind::other); ++i)
      words.emplace_back(to_string(static_cast<WaitKind>(i)));
  if (!glob.empty() && !words.empty() &&
      std::ranges::none_of(words, [&](const std::string& word) { return glob_matches(glob, word); })) {
    const std::string near = near_name(glob, words);
    complain(value.source(), name + ": " + quoted(glob) + " matches none of " + joined(words) +
                                 (near.empty() ? "" : ": did you mean '" + near + "'?"));
  }
  rule.matches.push_back({fact, glob});
}

std::optional<uint32_t> uid_of(const std::string& user) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(1 << 16);
  if (getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
    return std::nullopt;
  return found->pw_uid;
}

void Reader::read_user(Rule& rule, const toml::node& value) {
  std::string text;
  if (const auto* number = value.as_integer())
    text = std::to_string(number->get());
  else if (value.is_string())
    text = string_of("user", value);
  else
    complain(value.source(), std::string("user must be a name or a number, not ") + name_of(value.type()));
  if (text.empty()) return;
  uint32_t uid = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), uid);
  if (error == std::errc() && stop == text.data() + text.size() && uid != UINT32_MAX)
    rule.uid = uid;
  else if (!value.is_integer())
    rule.uid = uid_of(text);
  if (!rule.uid)
    complain(value.source(), "there is no user " + quoted(text) + ": a name of this host, or a number");
}

void Reader::check_purpose(const Rule& rule, const toml::table& table) {
  std::vector<std::string> names;
  for (const auto& [fact, name] : kRuleFacts) names.emplace_back(name);
  names.emplace_back("user");
  if (rule.matches.empty() && !rule.uid)
    complain(table.source(), "the rule says nothing of what it is for: give one or more of " + joined(names));
  if (!rule.ignore && !rule.threshold_ns && !rule.severity)
    complain(table.source(), "the rule does nothing: give ignore = true, a threshold or a severity");
}

void Reader::check_rule(const Rule& rule, const toml::table& table) {
  if (rule.ignore && (rule.threshold_ns || rule.severity))
    complain(table.source(), "what is ignored has no threshold and no severity: leave ignore out, or these");
  const auto kind = std::ranges::find(rule.matches, RuleFact::kind, &Rule::Match::fact);
  if (!rule.threshold_ns || kind == rule.matches.end() || !kind_is_known(kind->glob)) return;
  for (int i = 0; i <= static_cast<int>(FindingKind::overdue); ++i)
    if (const auto each = static_cast<FindingKind>(i);
        has_threshold(each) && glob_matches(kind->glob, to_string(each)))
      return;
  complain(table.source(), "threshold: findings of kind " + quoted(kind->glob) +
                               " are told whatever their age: leave it out, or give ignore or a severity");
}

Config Reader::take(const std::string& path) && {
  Config config = config_of(flags_);
  config.path = path;
  config.found = true;
  config.options = std::move(options_);
  config.options.private_fd = flags_.private_fd;
  config.options.config_path = flags_.config_path;
  config.options.check_config = flags_.check_config;
  config.options.given = flags_.given;
  for (const auto& [name, text] : flags_.given) find_setting(name)->set(config.options, text);
  config.thresholds = Thresholds::of(config.options.threshold_ns);
  for (const auto& [setting, text] : thresholds_)
    if (setting->type == SettingType::length && flags_.given.contains("threshold"))
      warnings_.push_back(std::string("--threshold was given: ") + setting->name +
                          " of [thresholds] has no effect");
    else
      setting->set(config.thresholds, text);
  config.rules = Rules(std::move(rules_));
  config.warnings = std::move(warnings_);
  return config;
}

// The first line that holds too many dots.
std::optional<Problem> too_deep(std::string_view text) {
  toml::source_position at{1, 0};
  size_t dots = 0;
  for (const char c : text) {
    ++at.column;
    if (c == '\n') {
      at = {at.line + 1, 0};
      dots = 0;
    } else if (c == '.' && ++dots > kMostDots) {
      return Problem{at, "more than " + std::to_string(kMostDots) + " dots in one line"};
    }
  }
  return std::nullopt;
}

// Null: the library gave up.
std::unique_ptr<toml::table> parse_or_give_up(std::string_view text) {
  try {
    return std::make_unique<toml::table>(toml::parse(text));
  } catch (const BeyondTheLibrary&) {
    return nullptr;
  }
}

// The first line with which the library gives up.
uint32_t line_of_giving_up(std::string_view text) {
  std::vector<size_t> ends;  // of lines
  for (size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) ends.push_back(at + 1);
  ends.push_back(text.size());
  const auto found = std::ranges::partition_point(ends, [&](size_t end) {
    try {
      return parse_or_give_up(text.substr(0, end)) != nullptr;
    } catch (const toml::parse_error&) {
      return true;
    }
  });
  return static_cast<uint32_t>(found - ends.begin()) + 1;
}

std::variant<std::unique_ptr<toml::table>, Problem> parse_toml(std::string_view text) {
  try {
    if (auto table = parse_or_give_up(text)) return table;
  } catch (const toml::parse_error& error) {
    return Problem{error.source().begin, std::string(error.description())};
  }
  return Problem{{line_of_giving_up(text), 1}, "this line is no TOML, or is not ended"};
}

ConfigErrors lines_of(std::vector<Problem> problems, const std::string& path) {
  std::ranges::stable_sort(problems, [](const Problem& a, const Problem& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  ConfigErrors lines;
  for (const Problem& problem : problems) {
    if (lines.size() == kMostErrors) {
      lines.push_back(path + ": and " + std::to_string(problems.size() - kMostErrors) + " more");
      break;
    }
    lines.push_back(path + ":" + std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) +
                    ": " + problem.text);
  }
  return lines;
}

}  // namespace

std::variant<Config, ConfigErrors> parse_config(std::string_view text, const std::string& path,
                                                const DaemonOptions& flags) {
  if (auto problem = too_deep(text)) return lines_of({*problem}, path);
  const auto parsed = parse_toml(text);
  if (const Problem* problem = std::get_if<Problem>(&parsed)) return lines_of({*problem}, path);
  Reader reader(flags);
  reader.read(*std::get<0>(parsed));
  if (!reader.problems().empty()) return lines_of(std::move(reader.problems()), path);
  return std::move(reader).take(path);
}

}  // namespace loiter
