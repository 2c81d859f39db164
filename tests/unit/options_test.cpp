// The daemon's command line: what it takes, and one clear line for what it does not.
#include "daemon/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace loiter::test {
namespace {

using ::testing::HasSubstr;

struct Parsed {
  std::optional<DaemonOptions> options;
  int exit_code = -1;
  std::string out, err;
};

Parsed parse(std::vector<std::string> args) {
  args.insert(args.begin(), "loiterd");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  Parsed parsed;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  parsed.options = parse_daemon_options(static_cast<int>(argv.size()), argv.data(), parsed.exit_code);
  parsed.out = ::testing::internal::GetCapturedStdout();
  parsed.err = ::testing::internal::GetCapturedStderr();
  return parsed;
}

TEST(DaemonOptions, HaveTheDefaultsOfTheDesign) {
  const Parsed parsed = parse({});
  ASSERT_TRUE(parsed.options) << parsed.err;
  EXPECT_EQ(parsed.options->socket_path, "/run/loiter/loiterd.sock");
  EXPECT_EQ(parsed.options->private_fd, -1);
  EXPECT_EQ(parsed.options->threshold_ns, 30'000'000'000u);
  EXPECT_EQ(parsed.options->interval_ns, 1'000'000'000u);
  EXPECT_FALSE(parsed.options->kernel_threads);
  EXPECT_EQ(parsed.options->uprobes, UprobeMode::attached);
  EXPECT_EQ(parsed.options->uprobe_way, UprobeWay::automatic);
}

TEST(DaemonOptions, AreTaken) {
  const Parsed parsed = parse({"--socket",
                               "/tmp/x",
                               "--private=7",
                               "--threshold",
                               "1h30m",
                               "--interval=250ms",
                               "--kernel-threads",
                               "--ring-size",
                               "4096",
                               "--max-threads",
                               "10",
                               "--max-ended",
                               "0",
                               "--keep-ended",
                               "0s",
                               "--tracepoints",
                               "RAW",
                               "--log-level",
                               "off",
                               "--uprobes",
                               "all",
                               "--uprobe-way",
                               "tracefs"});
  ASSERT_TRUE(parsed.options) << parsed.err;
  EXPECT_EQ(parsed.options->socket_path, "/tmp/x");
  EXPECT_EQ(parsed.options->private_fd, 7);
  EXPECT_EQ(parsed.options->threshold_ns, 5'400'000'000'000u);
  EXPECT_EQ(parsed.options->interval_ns, 250'000'000u);
  EXPECT_TRUE(parsed.options->kernel_threads);
  EXPECT_EQ(parsed.options->ring_size, 4096u);
  EXPECT_EQ(parsed.options->max_threads, 10u);
  EXPECT_EQ(parsed.options->max_ended, 0u);
  EXPECT_EQ(parsed.options->keep_ended_ns, 0u);
  EXPECT_EQ(parsed.options->tracepoints, EventReader::Tracepoints::raw);
  EXPECT_EQ(parsed.options->log_level, "off");
  EXPECT_EQ(parsed.options->uprobes, UprobeMode::all);
  EXPECT_EQ(parsed.options->uprobe_way, UprobeWay::tracefs);
}

class BadOptions : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(BadOptions, AreRefusedInOneLineThatNamesThem) {
  const Parsed parsed = parse(GetParam());
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, 2);
  EXPECT_EQ(parsed.out, "");
  EXPECT_EQ(std::count(parsed.err.begin(), parsed.err.end(), '\n'), 1) << parsed.err;
  EXPECT_THAT(parsed.err, ::testing::StartsWith("loiterd: "));
  EXPECT_THAT(parsed.err, HasSubstr(GetParam()[0].substr(0, GetParam()[0].find('=')))) << parsed.err;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadOptions,
    ::testing::Values(
        std::vector<std::string>{"--threshold", "30"}, std::vector<std::string>{"--threshold", "-1s"},
        std::vector<std::string>{"--threshold", "soon"}, std::vector<std::string>{"--threshold"},
        std::vector<std::string>{"--interval", "99ms"}, std::vector<std::string>{"--interval", "0s"},
        std::vector<std::string>{"--ring-size", "4095"}, std::vector<std::string>{"--ring-size", "2048"},
        std::vector<std::string>{"--ring-size", "0"}, std::vector<std::string>{"--ring-size", "-1"},
        std::vector<std::string>{"--ring-size", "4294967296"}, std::vector<std::string>{"--max-threads", "0"},
        std::vector<std::string>{"--max-threads", "-1"}, std::vector<std::string>{"--max-ended", "x"},
        std::vector<std::string>{"--tracepoints", "kprobe"}, std::vector<std::string>{"--uprobe-way", "perf"},
        std::vector<std::string>{"--log-level", "loud"}, std::vector<std::string>{"--private", "x"},
        std::vector<std::string>{"--private", "-7"}, std::vector<std::string>{"--no-such-option"},
        std::vector<std::string>{"surplus"}));

TEST(DaemonOptions, ControlCharactersComeBackEscaped) {
  const Parsed parsed = parse({"--threshold", "\x1b[2J\xff"});
  EXPECT_EQ(parsed.exit_code, 2);
  EXPECT_EQ(parsed.err.find('\x1b'), std::string::npos);
}

TEST(DaemonOptions, HelpAndVersionAreNoErrors) {
  Parsed parsed = parse({"--help"});
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.out, HasSubstr("--threshold"));
  EXPECT_EQ(parsed.err, "");
  parsed = parse({"--version"});
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.out, ::testing::StartsWith("loiterd "));
}

}  // namespace
}  // namespace loiter::test
