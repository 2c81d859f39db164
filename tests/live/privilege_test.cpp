// What loiterd may do: just the capabilities that it says it holds, each of them needed, and a clear word
// where one is missing.
#include <cap-ng.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/lib/daemon.h"
#include "tests/lib/paths.h"
#include "tests/lib/proc.h"
#include "tests/lib/workload.h"

namespace loiter::test {
namespace {

using nlohmann::json;

// "CAP_BPF" as a bit.
int bit_of(const std::string& name) {
  const int bit = capng_name_to_capability(name.substr(4).c_str());
  if (bit < 0) throw std::runtime_error("no such capability: " + name);
  return bit;
}

uint64_t held_by_its_own_word(const json& status) {
  uint64_t mask = 0;
  for (const auto& capability : status.at("capabilities")) {
    EXPECT_FALSE(capability.at("reason").get<std::string>().empty()) << capability;
    if (capability.at("held").get<bool>()) mask |= uint64_t{1} << bit_of(capability.at("name"));
  }
  return mask;
}

TEST(Privilege, EveryThreadHoldsJustWhatTheStatusSays) {
  Daemon daemon;
  const uint64_t held = held_by_its_own_word(daemon.status());
  EXPECT_NE(held, 0u);
  for (pid_t tid : threads_of(daemon.pid())) {
    auto status = thread_status(daemon.pid(), tid);
    EXPECT_EQ(std::stoull(status["CapEff"], nullptr, 16), held) << status["CapEff"];
    EXPECT_EQ(std::stoull(status["CapPrm"], nullptr, 16), held);
    EXPECT_EQ(std::stoull(status["CapBnd"], nullptr, 16), held);
    EXPECT_EQ(std::stoull(status["CapInh"], nullptr, 16), 0u);
    EXPECT_EQ(std::stoull(status["CapAmb"], nullptr, 16), 0u);
    EXPECT_EQ(status["NoNewPrivs"], "1");
  }
}

// Ends with 3 and says which one, or runs and says what it cannot do without it.
void expect_clear_without(const std::string& name, size_t features_ok) {
  SCOPED_TRACE(name);
  SpawnOptions without;
  without.drop_capabilities = {bit_of(name)};
  TempDir dir;
  Subprocess process({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"}, without);
  json status;
  ASSERT_TRUE(await("it ends or answers", [&] {
    if (!process.alive()) return true;
    try {
      const HttpResponse response = http_get(dir.file("s"), "/v1/status?fresh=1");
      if (response.status == 200) status = json::parse(response.body);
    } catch (const std::runtime_error&) {
    }
    return !status.is_null();
  }));
  if (status.is_null()) {
    EXPECT_EQ(to_string(process.wait().value()), "exit 3") << process.stderr_text();
    EXPECT_TRUE(is_one_line(process.stderr_text()));
    EXPECT_NE(process.stderr_text().find(name), std::string::npos) << process.stderr_text();
    return;
  }
  EXPECT_EQ(held_by_its_own_word(status) & (uint64_t{1} << bit_of(name)), 0u);
  const auto& features = status.at("features");
  const auto ok = std::count_if(features.begin(), features.end(),
                                [](const json& feature) { return feature.at("state") == "ok"; });
  EXPECT_LT(static_cast<size_t>(ok), features_ok) << "a capability that nothing misses: " << features;
  process.signal(SIGTERM);
  EXPECT_EQ(to_string(process.wait().value()), "exit 0");
}

TEST(Privilege, EachCapabilityIsMissedClearly) {
  json status;
  {
    Daemon daemon;
    status = daemon.status();
  }
  const auto& features = status.at("features");
  const auto ok = std::count_if(features.begin(), features.end(),
                                [](const json& feature) { return feature.at("state") == "ok"; });
  for (const auto& capability : status.at("capabilities"))
    if (capability.at("held").get<bool>())
      expect_clear_without(capability.at("name"), static_cast<size_t>(ok));
}

// Of the children that look inside processes, the one that parses foreign files has nothing.
TEST(Privilege, WhoParsesForeignFilesHasNone) {
  Workload workload("blocker", {"mutex"});
  Daemon daemon;
  ASSERT_FALSE(daemon.stacks(workload.pid()).at("threads").empty());
  size_t parsers = 0, openers = 0;
  for (pid_t child : children_of(daemon.pid())) {
    auto status = thread_status(child, child);
    openers += status["Name"] == "loiter-opener";
    EXPECT_EQ(status["NoNewPrivs"], "1");
    if (status["Name"] != "loiter-parser") continue;
    ++parsers;
    for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapAmb"})
      EXPECT_EQ(std::stoull(status[set], nullptr, 16), 0u) << set;
    EXPECT_EQ(status["Seccomp"], "2");
    char root[64];
    const std::string path = "/proc/" + std::to_string(child) + "/root";
    const ssize_t size = readlink(path.c_str(), root, sizeof(root));
    ASSERT_GT(size, 0);
    EXPECT_TRUE(std::string(root, static_cast<size_t>(size)).ends_with("/fd")) << root;
  }
  EXPECT_EQ(parsers, 1u);
  EXPECT_EQ(openers, 1u);
}

TEST(Privilege, WithoutAnyTheDaemonSaysSo) {
  TempDir dir;
  SpawnOptions nobody;
  nobody.uid = kNobody;
  const std::string loiterd = copy_for_everyone(dir, loiterd_path());
  const RunResult result = run({loiterd, "--socket", dir.file("s"), "--history-keep", "0s"}, nobody);
  EXPECT_EQ(to_string(result.status), "exit 3") << result.err;
  EXPECT_TRUE(is_one_line(result.err));
  EXPECT_NE(result.err.find("CAP_"), std::string::npos) << result.err;
}

TEST(Kernel, WithoutBtfItSaysSo) {
  TempDir dir;
  SpawnOptions without;
  without.empty_run_dir = without.hide_btf = true;
  const RunResult daemon = run({loiterd_path(), "--socket", dir.file("s"), "--history-keep", "0s"}, without);
  EXPECT_EQ(to_string(daemon.status), "exit 3") << daemon.err;
  EXPECT_TRUE(is_one_line(daemon.err));
  EXPECT_NE(daemon.err.find("BTF"), std::string::npos) << daemon.err;
  for (const char* command : {"ps", "top", "scan"}) {
    const RunResult result = run({loiter_path(), command}, without);
    EXPECT_EQ(to_string(result.status), "exit 3") << command << result.err;
    EXPECT_TRUE(is_one_line(result.err));
    EXPECT_NE(result.err.find("BTF"), std::string::npos) << result.err;
  }
  const RunResult doctor = run({loiter_path(), "doctor"}, without);
  EXPECT_EQ(to_string(doctor.status), "exit 3") << doctor.out << doctor.err;
  EXPECT_NE((doctor.out + doctor.err).find("BTF"), std::string::npos) << doctor.out << doctor.err;
}

TEST(Privilege, WithoutAnyTheCommandLineSaysSo) {
  TempDir dir;
  SpawnOptions nobody;
  nobody.uid = kNobody;
  copy_for_everyone(dir, loiterd_path());
  const std::string loiter = copy_for_everyone(dir, loiter_path());
  for (const char* command : {"ps", "top", "scan"}) {
    const RunResult result = run({loiter, command}, nobody);
    EXPECT_EQ(to_string(result.status), "exit 3") << command << result.err;
    EXPECT_TRUE(result.out.empty()) << result.out;
    EXPECT_TRUE(is_one_line(result.err));
  }
}

}  // namespace
}  // namespace loiter::test
