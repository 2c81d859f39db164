// What the configuration says of findings: that they are left out, judged by another threshold, or of another
// severity. The first rule that matches a finding is the one that counts.
//
// Values; pure functions, any thread. Names of processes are bytes, and so are globs (fnmatch(3)).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/detect/finding.h"
#include "daemon/detect/thresholds.h"

namespace loiter {

// What a rule can look at. Those of the process are of the finding's own process, the root's.
enum class RuleFact : uint8_t {
  comm,
  exe,
  cgroup,
  container,
  unit,
  kind,           // of the finding
  thread,         // its name
  wait,           // its kind
  start_routine,  // or what a std::thread runs
  frame           // a function on the stack; one without a name is "file+0x1f"
};
// As they are written in the configuration.
inline constexpr std::array<std::pair<RuleFact, const char*>, 10> kRuleFacts{
    {{RuleFact::comm, "comm"},
     {RuleFact::exe, "exe"},
     {RuleFact::cgroup, "cgroup"},
     {RuleFact::container, "container"},
     {RuleFact::unit, "unit"},
     {RuleFact::kind, "kind"},
     {RuleFact::thread, "thread"},
     {RuleFact::wait, "wait"},
     {RuleFact::start_routine, "start_routine"},
     {RuleFact::frame, "frame"}}};

struct Rule {
  struct Match {
    RuleFact fact{};
    std::string glob;
  };
  std::vector<Match> matches = {};   // all of them must match
  std::optional<uint32_t> uid = {};  // and the process be this user's
  bool ignore = false;               // else at least one of these two:
  std::optional<uint64_t> threshold_ns = {};
  std::optional<Severity> severity = {};
  std::string reason = {};
  uint32_t line = 0;  // in the file, from 1
};

// Whether the pattern matches all of the text.
bool glob_matches(const std::string& glob, const std::string& text);

// How old a finding of that kind has to be; nothing: it is told whatever its age.
std::optional<uint64_t> threshold_for(FindingKind kind, const Thresholds& thresholds);

// Whether findings of that kind come of age: the others are told at once, whatever the threshold.
bool has_threshold(FindingKind kind);

// For how long the cause of a finding has lasted, by its evidence; nothing: it has no age.
std::optional<uint64_t> age_of(const Finding& finding);

class Rules {
 public:
  Rules() = default;
  explicit Rules(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  size_t size() const { return rules_.size(); }
  const std::vector<Rule>& list() const { return rules_; }

  // What detectors have to go by, so that nothing is missed which a rule holds to a lower threshold.
  Thresholds least_thresholds(Thresholds thresholds) const;

  // Whether any rule looks at what only a look inside the process tells.
  bool need_stacks() const;

  // False where apply() will drop it as too young, whatever its stacks will show.
  bool may_be_told(const Finding& finding, const Thresholds& thresholds) const;

  // What was taken out.
  struct Sifted {
    std::vector<Finding> ignored;  // each with the rule that did it
    std::vector<Finding> young;    // below the threshold that holds for them
  };
  // Takes out what is ignored or too young, and writes into the others the threshold they were held to, their
  // severity and the rule. `thresholds`: for those that no rule holds to another one. Applied again, it
  // changes nothing.
  //
  // A rule on threads matches where one thread fits all of it: in a chain or cycle, any thread of that. Of
  // threads that merely share a finding, each one of which it is known must fit, lest a rule for one of them
  // hide the others.
  Sifted apply(std::vector<Finding>& findings, const Thresholds& thresholds) const;

 private:
  const Rule* first_match(const Finding& finding) const;
  std::vector<Rule> rules_;
};

}  // namespace loiter
