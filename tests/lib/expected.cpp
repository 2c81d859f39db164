#include "tests/lib/expected.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace loiter::test {
namespace {

using nlohmann::json;

class Differences {
 public:
  void add(const std::string& what) { text_ += "\n  " + what; }
  void unless(bool right, const std::string& what) {
    if (!right) add(what);
  }
  ::testing::AssertionResult result(const json& thread, const json& fact) const {
    if (text_.empty()) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << text_ << "\n  told: " << fact << "\n  shown: " << thread;
  }

 private:
  std::string text_;
};

bool of_musl(const json& fact) {
  return fact.value("libc", "") == "musl";
}

bool is_process(const json& fact) {
  return fact.value("note", "") == "a process";
}

void compare_kind(Differences& differences, const json& wait, const json& fact) {
  const std::string kinds = fact.at("kind").get<std::string>();
  differences.unless(is_one_of(wait.at("kind"), kinds), "kind, not " + kinds);
  if (!fact.contains("syscall")) return;
  const std::string calls = fact.at("syscall") == "none" ? "null" : fact.at("syscall").get<std::string>();
  differences.unless(is_one_of(wait.at("syscall"), calls), "syscall, not " + calls);
}

void compare_object(Differences& differences, const json& wait, const json& fact) {
  const json& object = wait.at("object");
  // musl's conditions and barriers wait at a word on a waiter's stack: src/thread/pthread_cond_timedwait.c,
  // pthread_barrier_wait.c.
  if (fact.contains("object") && !(of_musl(fact) && is_one_of(fact.at("kind"), "condvar|barrier"))) {
    const uint64_t from = fact.at("object"), size = fact.at("size");
    const uint64_t shown =
        object.is_string() ? strtoull(object.get_ref<const std::string&>().c_str(), nullptr, 16) : 0;
    differences.unless(shown >= from && shown < from + size, "object: not in the lock's bytes");
  }
  if (fact.contains("object_text"))
    differences.unless(
        object.is_string() && object.get<std::string>().find(fact.at("object_text")) != std::string::npos,
        "object: without " + fact.at("object_text").dump());
  if (fact.contains("fd")) differences.unless(wait.at("fd") == fact.at("fd"), "fd");
  if (fact.contains("scope"))
    differences.unless(wait.at("private") == (fact.at("scope") == "private"), "private");
  if (fact.contains("detail")) {
    const std::string detail = wait.at("detail").is_string() ? wait.at("detail").get<std::string>() : "";
    const auto wanted = split(fact.at("detail"), '|');
    differences.unless(std::any_of(wanted.begin(), wanted.end(),
                                   [&](const auto& word) { return detail.find(word) != std::string::npos; }),
                       "detail: without " + fact.at("detail").dump());
  }
  if (fact.contains("peer")) {
    const json& peers = wait.at("peers");
    differences.unless(std::any_of(peers.begin(), peers.end(),
                                   [&](const json& peer) { return peer.at("pid") == fact.at("peer"); }),
                       "peers: without " + fact.at("peer").dump());
  }
}

// Of musl's locks those that keep no owner.
bool names_no_owner(const json& fact) {
  return of_musl(fact) && fact.value("note", "").find("musl: no owner") != std::string::npos;
}

// A number may be missing only where nobody can know it; a wrong one is always wrong.
void compare_holder(Differences& differences, const json& wait, const json& fact) {
  const json &tid = wait.at("holder_tid"), &pid = wait.at("holder_pid");
  const std::string state = fact.value("holder_state", "null");
  if (names_no_owner(fact)) {
    differences.unless(tid.is_null() && pid.is_null(), "a holder that nobody can know");
    differences.unless(wait.at("holder_state") == "none", "holder_state, not none");
    return;
  }
  if (fact.at("holder_tid") == 0) {
    const std::string states = state + "|null|none";
    differences.unless(tid.is_null() && pid.is_null(), "a holder where there is none");
    differences.unless(is_one_of(wait.at("holder_state"), states), "holder_state, not " + states);
    return;
  }
  // Whether a child that is waited for holds something is a matter of words.
  // The kernel writes into a lock of musl that its owner ended, over the owner.
  const bool may_be_missing =
      (of_musl(fact) && state == "ended") || state == "inherited" || (is_process(fact) && state == "null");
  const bool tid_right = tid == fact.at("holder_tid") || (is_process(fact) && tid.is_null());
  const bool right = tid_right && (pid == fact.at("holder_pid") || state == "ended" || state == "inherited");
  differences.unless(right || (may_be_missing && tid.is_null() && (pid.is_null() || state == "ended")),
                     "holder");
  const bool state_may_vary = may_be_missing && state != "inherited" && state != "ended";
  const std::string states = state + (state_may_vary ? "|none|unknown|null|alive" : "");
  differences.unless(is_one_of(wait.at("holder_state"), states), "holder_state, not " + states);
}

void compare_timeout(Differences& differences, const json& wait, const json& fact) {
  const json &whole = wait.at("timeout_ns"), &left = wait.at("timeout_left_ns");
  const int64_t expected = fact.at("timeout_s").get<int64_t>() * 1'000'000'000;
  if (expected == 0) {
    differences.unless(wait.at("bounded") != true && whole.is_null() && left.is_null(),
                       "a time limit where there is none");
    // A socket's own limit cannot always be known, nor a file server's; everything else can.
    differences.unless(wait.at("bounded") == false || fact.contains("fd") || !fact.contains("syscall") ||
                           fact.at("kind") == "disk",
                       "bounded");
    return;
  }
  // The thread has been asleep for the time that the test takes, far less than the slack.
  const int64_t slack = 60'000'000'000;
  differences.unless(wait.at("bounded") == true, "bounded, not true");
  differences.unless(whole.is_number() && std::abs(whole.get<int64_t>() - expected) < slack, "timeout_ns");
  differences.unless(
      left.is_number() && left.get<int64_t>() <= expected && left.get<int64_t>() > expected - slack,
      "timeout_left_ns");
}

struct Wanted {
  std::string name;
  int line = 0;  // 0: any
  bool inlined = false;
};

Wanted parse_wanted(std::string text) {
  Wanted wanted;
  if (text.ends_with('!')) {
    wanted.inlined = true;
    text.pop_back();
  }
  const size_t at = text.find('@');
  if (at != std::string::npos) wanted.line = std::stoi(text.substr(at + 1));
  wanted.name = text.substr(0, at);
  return wanted;
}

bool is_the_frame(const json& frame, const Wanted& wanted) {
  if (!frame.at("symbol").is_string()) return false;
  const std::string name = function_name(frame.at("symbol"));
  const bool named = wanted.name.ends_with('<') ? name.starts_with(wanted.name) : name == wanted.name;
  return named &&
         (!wanted.line || (frame.at("line") == wanted.line && frame.at("inlined") == wanted.inlined));
}

// Position behind the parentheses that end the name: "f(int) const" → of "f".
size_t end_of_name(const std::string& symbol) {
  int depth = 0;
  for (size_t i = symbol.size(); i-- > 0;) {
    if (symbol[i] == ')') ++depth;
    if (symbol[i] == '(' && --depth == 0) return i;
  }
  return symbol.size();
}

}  // namespace

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

bool is_one_of(const json& value, const std::string& words) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  const auto wanted = split(words, '|');
  return std::find(wanted.begin(), wanted.end(), text) != wanted.end();
}

std::string function_name(const std::string& symbol) {
  if (symbol.starts_with('(') || symbol.starts_with('<')) return symbol;
  std::string name = symbol.substr(0, end_of_name(symbol));
  const size_t operator_at = name.find("operator");
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i < std::min(name.size(), operator_at); ++i) {
    if (name[i] == '<' || name[i] == '(') ++depth;
    if (name[i] == '>' || name[i] == ')') --depth;
    if (name[i] == ' ' && depth == 0) start = i + 1;  // a return type
  }
  name = name.substr(start);
  return name.ends_with("operator") ? name + "()" : name;
}

::testing::AssertionResult wait_is_as_told(const json& thread, const json& fact) {
  Differences differences;
  if (thread.is_null() || !thread.contains("wait") || thread.at("wait").is_null()) {
    differences.add("no wait is shown");
    return differences.result(thread, fact);
  }
  const json& wait = thread.at("wait");
  compare_kind(differences, wait, fact);
  compare_object(differences, wait, fact);
  compare_holder(differences, wait, fact);
  compare_timeout(differences, wait, fact);
  return differences.result(thread, fact);
}

::testing::AssertionResult has_no_holder(const json& thread) {
  const json wait = thread.value("wait", json());
  if (wait.is_null() || (wait.at("holder_tid").is_null() && wait.at("holder_pid").is_null() &&
                         is_one_of(wait.at("holder_state"), "null|none")))
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "it has a holder: " << thread;
}

::testing::AssertionResult stack_shows(const json& thread, const std::string& frames) {
  const json& stack = thread.at("stack");
  size_t next = 0;
  for (const std::string& text : split(frames, ' ')) {
    const Wanted wanted = parse_wanted(text);
    while (next < stack.size() && !is_the_frame(stack[next], wanted)) ++next;
    if (next == stack.size())
      return ::testing::AssertionFailure()
             << "no " << text << " of '" << frames << "' in order on " << thread;
    ++next;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace loiter::test
