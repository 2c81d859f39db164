// Units and containers, from cgroup paths as systemd, Docker, containerd and CRI-O make them.
#include "daemon/model/cgroup_names.h"

#include <gtest/gtest.h>

#include <string>

namespace loiter {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(CgroupNames, TheInnermostUnitIsTheOne) {
  EXPECT_EQ(unit_of("/system.slice/api.service"), "api.service");
  EXPECT_EQ(unit_of("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope"), "app-x.scope");
  EXPECT_EQ(unit_of("/user.slice/user-1000.slice/session-2.scope"), "session-2.scope");
  EXPECT_EQ(unit_of("/system.slice/api.service/workers/one"), "api.service");
}

TEST(CgroupNames, SlicesAndOtherDirectoriesAreNoUnits) {
  EXPECT_EQ(unit_of("/system.slice"), "");
  EXPECT_EQ(unit_of("/"), "");
  EXPECT_EQ(unit_of(""), "");
  EXPECT_EQ(unit_of("/a.service.d/b"), "");
}

TEST(CgroupNames, AContainersScopeIsNoUnitButWhatItRunsInMayBe) {
  EXPECT_EQ(unit_of("/system.slice/docker-" + kId + ".scope"), "");
  EXPECT_EQ(unit_of("/system.slice/docker.service/docker-" + kId + ".scope"), "docker.service");
  EXPECT_EQ(unit_of("/docker/" + kId + "/system.slice/inner.service"), "inner.service");
}

TEST(CgroupNames, AContainerIsNamedByItsSixtyFourDigits) {
  EXPECT_EQ(container_of("/docker/" + kId), kId);
  EXPECT_EQ(container_of("/system.slice/docker-" + kId + ".scope"), kId);
  EXPECT_EQ(container_of("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + kId + ".scope"), kId);
  EXPECT_EQ(container_of("/machine.slice/libpod-" + kId + ".scope/container"), kId);
}

TEST(CgroupNames, OtherRunsOfDigitsAreNoContainers) {
  EXPECT_EQ(container_of("/system.slice/api.service"), "");
  EXPECT_EQ(container_of("/x/" + kId.substr(1)), "");
  EXPECT_EQ(container_of("/x/" + kId + "0"), "");
  EXPECT_EQ(container_of("/x/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"), "");
  EXPECT_EQ(container_of("//"), "");
}

}  // namespace
}  // namespace loiter
