// The configuration file: what is taken, all that is refused with its line and column, odd files.
#include "daemon/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "daemon/settings.h"
#include "tests/lib/daemon.h"
#include "tests/unit/units.h"

namespace loiter::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Config taken(std::string_view text, const DaemonOptions& flags = {}) {
  auto parsed = parse_config(text, "f.toml", flags);
  if (const auto* errors = std::get_if<ConfigErrors>(&parsed)) {
    ADD_FAILURE() << ::testing::PrintToString(*errors);
    return {};
  }
  return std::get<Config>(parsed);
}

ConfigErrors errors_of(std::string_view text) {
  auto parsed = parse_config(text, "f.toml", {});
  const auto* errors = std::get_if<ConfigErrors>(&parsed);
  return errors ? *errors : ConfigErrors();
}

DaemonOptions flags(const std::vector<std::pair<const char*, const char*>>& given) {
  DaemonOptions options;
  for (const auto& [name, text] : given) {
    EXPECT_EQ(find_setting(name)->set(options, text), "");
    options.given[name] = text;
  }
  return options;
}

TEST(ConfigTest, EverySettingIsTaken) {
  const Config config = taken(R"(
socket = "/tmp/s"
threshold = "1m"
interval = "250ms"
kernel_threads = true
tracepoints = "raw"
uprobes = "all"
ring_size = 4096
max_threads = 10
max_ended = 0
keep_ended = "1h"
log_level = "debug"
[thresholds]
stuck = "7s"
unjoined_least = 3
leak_window = "9s"
)");
  EXPECT_TRUE(config.found);
  EXPECT_EQ(config.path, "f.toml");
  EXPECT_EQ(config.options.socket_path, "/tmp/s");
  EXPECT_EQ(config.options.threshold_ns, 60 * kSecond);
  EXPECT_EQ(config.options.interval_ns, kSecond / 4);
  EXPECT_TRUE(config.options.kernel_threads);
  EXPECT_EQ(config.options.tracepoints, EventReader::Tracepoints::raw);
  EXPECT_EQ(config.options.uprobes, UprobeMode::all);
  EXPECT_EQ(config.options.ring_size, 4096u);
  EXPECT_EQ(config.options.max_threads, 10u);
  EXPECT_EQ(config.options.max_ended, 0u);
  EXPECT_EQ(config.options.keep_ended_ns, 3600 * kSecond);
  EXPECT_EQ(config.options.log_level, "debug");
  EXPECT_EQ(config.thresholds.stuck_ns, 7 * kSecond);
  EXPECT_EQ(config.thresholds.starved_ns, 60 * kSecond) << "follows from threshold";
  EXPECT_EQ(config.thresholds.unjoined_least, 3u);
  EXPECT_EQ(config.thresholds.leak_window_ns, 9 * kSecond);
}

TEST(ConfigTest, ItsSettingsAreThoseOfTheFlags) {
  for (const Setting& setting : settings()) {
    DaemonOptions options;
    EXPECT_EQ(setting.set(options, setting.text(options)), "") << setting.name;
    EXPECT_EQ(setting.text(options), setting.text(DaemonOptions())) << setting.name;
  }
}

TEST(ConfigTest, FlagsWin) {
  const std::string_view text =
      "interval = \"2s\"\nthreshold = \"9s\"\nlog_level = \"off\"\n[thresholds]\n"
      "stuck = \"1m\"\nleak_windows = 3\n";
  Config config = taken(text, flags({{"interval", "5s"}}));
  EXPECT_EQ(config.options.interval_ns, 5 * kSecond);
  EXPECT_EQ(config.options.threshold_ns, 9 * kSecond);
  EXPECT_EQ(config.options.log_level, "off");
  EXPECT_EQ(config.thresholds.stuck_ns, 60 * kSecond);
  EXPECT_THAT(config.warnings, IsEmpty());
  config = taken(text, flags({{"threshold", "3s"}}));
  EXPECT_EQ(config.options.threshold_ns, 3 * kSecond);
  EXPECT_EQ(config.thresholds.stuck_ns, 3 * kSecond);
  EXPECT_EQ(config.thresholds.leak_windows, 3u);
  EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("stuck of [thresholds] has no effect")));
}

TEST(ConfigTest, RulesAreTakenInTheirOrderWithTheirLines) {
  const Config config = taken(R"([[rule]]
comm = "a*"
thread = "w-?"
user = 0
ignore = true
reason = "so \"it\" is\u0021"

[[rule]]
user = "root"
kind = "s*"
wait = "lock"
threshold = "2s"
severity = "critical"
)");
  ASSERT_EQ(config.rules.size(), 2u);
  const Rule& first = config.rules.list()[0];
  EXPECT_EQ(first.line, 1u);
  EXPECT_EQ(first.matches.size(), 2u);
  EXPECT_EQ(first.uid, 0u);
  EXPECT_TRUE(first.ignore);
  EXPECT_EQ(first.reason, "so \"it\" is!");
  const Rule& second = config.rules.list()[1];
  EXPECT_EQ(second.line, 8u);
  EXPECT_EQ(second.uid, 0u);
  EXPECT_EQ(second.threshold_ns, 2 * kSecond);
  EXPECT_EQ(second.severity, Severity::critical);
}

struct Refused {
  const char* text;
  const char* error;  // its beginning
};

class RefusedConfig : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedConfig, IsToldWithLineAndColumn) {
  EXPECT_THAT(errors_of(GetParam().text), ElementsAre(StartsWith(GetParam().error))) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedConfig,
    ::testing::Values(
        Refused{"\n  treshold = \"3s\"",
                "f.toml:2:3: there is no setting 'treshold': did you mean 'threshold'?"},
        Refused{"ring-size = 1", "f.toml:1:1: there is no setting 'ring-size': did you mean 'ring_size'?"},
        Refused{"xyzzy = 1", "f.toml:1:1: there is no setting 'xyzzy': take one of thresholds, rule, socket"},
        Refused{"threshold = 30",
                "f.toml:1:13: threshold must be a length as a string, such as \"30s\", not an i"},
        Refused{"threshold = \"30\"", "f.toml:1:13: threshold: '30' is not a length of time"},
        Refused{"interval = \"99ms\"", "f.toml:1:12: interval: '99ms' is too short: 100"},
        Refused{"ring_size = 4095", "f.toml:1:13: ring_size: '4095' is not a power of two of "},
        Refused{"ring_size = 4294967296", "f.toml:1:13: ring_size: "},
        Refused{"ring_size = 4096.0",
                "f.toml:1:13: ring_size must be a whole number, not a number with a fraction"},
        Refused{"max_threads = 0", "f.toml:1:15: max_threads: '0' is not a whole number from 1 to"},
        Refused{"max_threads = -1", "f.toml:1:15: max_threads: '-1' is not a whole number from 1 to"},
        Refused{"max_threads = 1979-05-27",
                "f.toml:1:15: max_threads must be a whole number, not a date or time"},
        Refused{"max_ended = []", "f.toml:1:13: max_ended must be a whole number, not an array"},
        Refused{"kernel_threads = \"yes\"",
                "f.toml:1:18: kernel_threads must be true or false, not a string"},
        Refused{"uprobes = \"some\"", "f.toml:1:11: uprobes: 'some' is none of attached, all, none"},
        Refused{"tracepoints = \"x\"", "f.toml:1:15: tracepoints: 'x' is none of auto, btf, raw"},
        Refused{"log_level = \"loud\"", "f.toml:1:13: log_level: 'loud' is none of trace, "},
        Refused{"socket = \"\"", "f.toml:1:10: socket: the path is empty"},
        Refused{"thresholds = 3", "f.toml:1:14: thresholds must be a table, [thresholds], not an integer"},
        Refused{"[thresholds]\nstuk = \"3s\"",
                "f.toml:2:1: there is no threshold 'stuk': did you mean 'stuck'?"},
        Refused{"[thresholds]\nstuck = 3", "f.toml:2:9: stuck must be a length as a string"},
        Refused{"[thresholds]\nleak_windows = 1",
                "f.toml:2:16: leak_windows: '1' is not a whole number from 2 to 64"},
        Refused{"[rule]\ncomm = \"x\"", "f.toml:1:1: rule must be an array of tables, [[rule]], not a table"},
        Refused{"rule = [1]", "f.toml:1:9: a rule must be a table, [[rule]], not an integer"},
        Refused{"[[rule]]\nignore = true",
                "f.toml:1:1: the rule says nothing of what it is for: give one or more"},
        Refused{"[[rule]]\ncomm = \"x\"",
                "f.toml:1:1: the rule does nothing: give ignore = true, a threshold"},
        Refused{"[[rule]]\ncomm = \"x\"\nignore = false", "f.toml:1:1: the rule does nothing"},
        Refused{"[[rule]]\ncomm = \"x\"\nignore = true\nseverity = \"info\"",
                "f.toml:1:1: what is ignored has no threshold and no severity"},
        Refused{"[[rule]]\nkind = \"deadlok\"\nignore = true",
                "f.toml:2:8: kind: 'deadlok' matches none of deadlock, orphan"},
        Refused{"[[rule]]\nwait = \"locks\"\nignore = true",
                "f.toml:2:8: wait: 'locks' matches none of lock, condvar"},
        Refused{"[[rule]]\nkind = \"deadlock\"\nthreshold = \"3s\"",
                "f.toml:1:1: threshold: findings of kind 'deadlock' are told whatever their age"},
        Refused{"[[rule]]\ncom = \"x\"\nignore = true",
                "f.toml:2:1: there is no key of a rule 'com': did you mean 'comm'?"},
        Refused{"[[rule]]\ncomm = 3\nignore = true", "f.toml:2:8: comm must be a string, not an integer"},
        Refused{"[[rule]]\ncomm = \"\"\nignore = true", "f.toml:2:8: comm is empty: leave it out"},
        Refused{"[[rule]]\ncomm = \"a\\u0000b\"\nignore = true", "f.toml:2:8: comm holds a NUL"},
        Refused{"[[rule]]\ncomm = \"x\"\nignore = 1",
                "f.toml:3:10: ignore must be true or false, not an integer"},
        Refused{"[[rule]]\ncomm = \"x\"\nthreshold = \"3\"",
                "f.toml:3:13: threshold: '3' is not a length of time"},
        Refused{"[[rule]]\ncomm = \"x\"\nseverity = \"bad\"",
                "f.toml:3:12: severity: 'bad' is none of info, warning"},
        Refused{"[[rule]]\nuser = \"no one here\"\nignore = true",
                "f.toml:2:8: there is no user 'no one here'"},
        Refused{"[[rule]]\nuser = -1\nignore = true", "f.toml:2:8: there is no user '-1'"},
        Refused{"[[rule]]\nuser = 1.5\nignore = true", "f.toml:2:8: user must be a name or a number"},
        Refused{"interval = \"2s\"\ninterval = \"3s\"", "f.toml:2:"}, Refused{"interval = ", "f.toml:1:"},
        Refused{"[[rule]", "f.toml:1:"}));

TEST(ConfigTest, AllThatIsWrongIsToldAtOnceInItsOrder) {
  EXPECT_THAT(
      errors_of("[[rule]]\ncomm = \"x\"\n[[rule]]\nkind = \"x\"\nignore = true\nthreshold = \"3s\"\n"
                "[thresholds]\nspin = 3\nstuk = \"1s\"\n"),
      ElementsAre(StartsWith("f.toml:1:1: the rule does nothing"),
                  StartsWith("f.toml:3:1: what is ignored has no threshold"),
                  StartsWith("f.toml:4:8: kind: 'x' matches none"), StartsWith("f.toml:8:8: spin must be"),
                  StartsWith("f.toml:9:1: there is no thres")));
}

TEST(ConfigTest, ErrorsAreBounded) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "key" + std::to_string(i) + " = 1\n";
  const ConfigErrors errors = errors_of(text);
  EXPECT_EQ(errors.size(), 51u);
  EXPECT_EQ(errors.back(), "f.toml: and 10 more");
  const ConfigErrors longest = errors_of(std::string(100'000, 'k') + " = 1");
  ASSERT_EQ(longest.size(), 1u);
  EXPECT_LT(longest[0].size(), 500u);
}

TEST(ConfigTest, RulesAreBounded) {
  std::string text;
  for (size_t i = 0; i < kMostRules; ++i) text += "[[rule]]\ncomm = \"x\"\nignore = true\n";
  EXPECT_EQ(taken(text).rules.size(), kMostRules);
  EXPECT_THAT(errors_of(text + "[[rule]]\ncomm = \"x\"\nignore = true\n"),
              ElementsAre("f.toml:3001:1: more than 1000 rules"));
}

// --- odd files -------------------------------------------------------------------------------------------

TEST(OddConfig, NothingAndCommentsAreGood) {
  for (const std::string_view text :
       {"", "\n\n", "# nothing\n", "\xef\xbb\xbf", "\xef\xbb\xbf# x\r\n", "[thresholds]\n"}) {
    EXPECT_EQ(taken(text).rules.size(), 0u);
    EXPECT_EQ(taken(text).options.threshold_ns, 30 * kSecond);
  }
  EXPECT_EQ(taken("\xef\xbb\xbfinterval = \"2s\"\r\n").options.interval_ns, 2 * kSecond);
}

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(OddConfig, IsRefusedWithoutHarm) {
  using namespace std::string_literals;
  for (const std::string& text : {"\0"s,
                                  "a = \"\0\""s,
                                  "a = 1\0"s,
                                  "\xff\xfe"s,
                                  "a = \"\xff\""s,
                                  "\x7f"
                                  "ELF\x02\x01\x01"s,
                                  "\xef\xbb"s,
                                  "a = " + repeated("[", 100'000),
                                  "a = " + repeated("[", 10) + repeated("]", 10),
                                  "a = " + repeated("{a=", 100'000),
                                  repeated("a.", 500'000) + "a = 1",
                                  "[" + repeated("a.", 500'000) + "a]",
                                  repeated("[" + repeated("a.", 30) + "a]\n", 2),
                                  "x = [" + repeated("{" + repeated("a.", 60) + "a = [\n", 15),
                                  "a = 99999999999999999999999999"s,
                                  "a = 1e999999999"s,
                                  "max_threads = 9223372036854775807999"s,
                                  "max_ended = 0x7fffffffffffffffffff"s,
                                  "interval = \"99999999999999999999h\""s,
                                  "a = inf"s,
                                  "a = nan"s,
                                  "interval = \"\"\"2s"s,
                                  "= 1"s,
                                  "[]"s,
                                  "[[]]"s,
                                  "\"\" = 1"s,
                                  "a = \"" + std::string(1'000'000, 'x') + "\"",
                                  repeated("a", 1'000'000),
                                  repeated("[[rule]]\n", 100'000)}) {
    const ConfigErrors errors = errors_of(text);
    ASSERT_FALSE(errors.empty()) << text.substr(0, 100);
    EXPECT_LE(errors.size(), 51u);
    for (const std::string& error : errors) EXPECT_THAT(error, StartsWith("f.toml:")) << text.substr(0, 100);
  }
}

// Bytes of a good file changed, cut and doubled: taken or refused, and never anything else.
TEST(OddConfig, OfChangedBytesIsTakenOrRefused) {
  const std::string good =
      "interval = \"2s\"\n[thresholds]\nstuck = \"3s\"\n[[rule]]\ncomm = \"a\\\"[*\"\nuser = 0\nignore = "
      "true\n"
      "rule2 = [1, {a.b = 2.5}]\n'x' = 1979-05-27T07:32:00Z\n";
  std::mt19937 random(7);
  size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = good;
    for (size_t change = random() % 4 + 1; change; --change) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 9 + 1);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 20));
          break;
        default:
          text.insert(at, 1, "[]{}.\"'=\n#\\"[random() % 11]);
      }
      if (text.empty()) text = "x";
    }
    const auto parsed = parse_config(text, "f.toml", {});
    const auto* errors = std::get_if<ConfigErrors>(&parsed);
    refused += errors != nullptr;
    if (errors) {
      ASSERT_FALSE(errors->empty()) << text;
    }
  }
  EXPECT_GT(refused, 0u);
}

// The library would abort on it.
TEST(OddConfig, WhatTheLibraryDoesNotExpectIsToldWithItsLine) {
  EXPECT_THAT(errors_of("interval = \"2s\"\n[:x]\ny = 1\n"),
              ElementsAre("f.toml:2:1: this line is no TOML, or is not ended"));
  EXPECT_THAT(errors_of("[rule\n]\n\n[[,]]"), ElementsAre(StartsWith("f.toml:1:")));
  EXPECT_THAT(errors_of("\n\n\n[[,]]"), ElementsAre("f.toml:4:1: this line is no TOML, or is not ended"));
}

// --- files -----------------------------------------------------------------------------------------------

class ConfigFileTest : public ::testing::Test {
 protected:
  std::variant<Config, ConfigErrors> load(const std::string& path) {
    DaemonOptions flags;
    flags.config_path = path;
    return load_config(flags);
  }
  std::string put(const std::string& text) {
    std::ofstream(dir_.file("f.toml")) << text;
    chmod(dir_.file("f.toml").c_str(), 0644);
    return dir_.file("f.toml");
  }
  void expect_error(const std::string& path, const std::string& what) {
    const auto loaded = load(path);
    const auto* errors = std::get_if<ConfigErrors>(&loaded);
    ASSERT_TRUE(errors) << path;
    EXPECT_THAT(*errors, ElementsAre(path + ": " + what));
  }
  TempDir dir_;
};

TEST_F(ConfigFileTest, IsRead) {
  const auto loaded = load(put("interval = \"3s\""));
  const auto* config = std::get_if<Config>(&loaded);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->options.interval_ns, 3 * kSecond);
  EXPECT_THAT(config->warnings, IsEmpty());
}

TEST_F(ConfigFileTest, ThatIsNoneIsRefused) {
  expect_error(dir_.file("none"), "there is no such file");
  expect_error(dir_.path(), "is no regular file");
  expect_error("/dev/zero", "is no regular file");
  ASSERT_EQ(mkfifo(dir_.file("pipe").c_str(), 0600), 0);
  expect_error(dir_.file("pipe"), "is no regular file");
  std::filesystem::create_symlink(dir_.file("loop"), dir_.file("loop"));
  expect_error(dir_.file("loop"), "cannot be read: Too many levels of symbolic links");
}

TEST_F(ConfigFileTest, IsBoundedInSize) {
  const std::string text = "interval = \"3s\"\n#";
  const auto largest = load(put(text + std::string(kMostConfigBytes - text.size(), 'x')));
  EXPECT_TRUE(std::get_if<Config>(&largest));
  expect_error(put(text + std::string(kMostConfigBytes - text.size() + 1, 'x')),
               "is too large: up to 1048576 bytes");
}

TEST_F(ConfigFileTest, ThatOthersMayWriteIsWarnedAbout) {
  const std::string path = put("");
  for (const mode_t mode : {0664, 0666, 0646}) {
    chmod(path.c_str(), mode);
    const auto loaded = load(path);
    EXPECT_THAT(std::get<Config>(loaded).warnings, ElementsAre(StartsWith(path + ": may be written by")));
  }
}

// --- the example -----------------------------------------------------------------------------------------

std::string example(bool uncommented) {
  std::ifstream file("scripts/loiterd.toml");
  std::string line, text;
  while (std::getline(file, line)) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    text += (uncommented && setting ? line.substr(1) : line) + "\n";
  }
  return text;
}

TEST(ExampleConfig, ChangesNothingAsItIs) {
  ASSERT_FALSE(example(false).empty()) << "the tests run in the top folder";
  const Config config = taken(example(false));
  EXPECT_EQ(config.rules.size(), 0u);
  for (const Setting& setting : settings())
    EXPECT_EQ(setting.text(config.options), setting.text(DaemonOptions())) << setting.name;
}

TEST(ExampleConfig, HasEverySettingWithWhatIsBuiltIn) {
  const std::string text = example(true);
  const Config config = taken(text);
  EXPECT_EQ(config.rules.size(), 2u);
  for (const Setting& setting : settings()) {
    EXPECT_EQ(setting.text(config.options), setting.text(DaemonOptions())) << setting.name;
    EXPECT_THAT(text, HasSubstr("\n" + std::string(setting.name) + " = "));
  }
  for (const ThresholdSetting& setting : threshold_settings()) {
    EXPECT_EQ(setting.text(config.thresholds), setting.text(Thresholds::of(DaemonOptions().threshold_ns)))
        << setting.name;
    EXPECT_THAT(text, HasSubstr("\n" + std::string(setting.name) + " = "));
  }
}

TEST(ConfigTest, WhatNeedsARestartIsNamed) {
  const Config running = taken("");
  EXPECT_THAT(settings_that_need_a_restart(running, taken("threshold = \"1s\"\nlog_level = \"off\"")),
              IsEmpty());
  EXPECT_THAT(
      settings_that_need_a_restart(running, taken("socket = \"/x\"\nring_size = 4096\nuprobes = \"none\"")),
      ElementsAre("socket", "uprobes", "ring_size"));
}

}  // namespace
}  // namespace loiter::test
