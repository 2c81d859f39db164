// Which names in tracefs' uprobe_events are a loiterd's, and whose.
#include "daemon/sensors/uprobe_events.h"

#include <gtest/gtest.h>

namespace loiter::test {
namespace {

TEST(UprobeEventNames, AreThoseOfLoiterds) {
  const auto names = uprobe_event_names(
      "p:loiter_12_3456/p0 /proc/self/fd/16:0x0000000000002399\n"
      "p:probe_libc/malloc /usr/lib/libc.so.6:0x1000\n"
      "r:loiter_12_3456/p1 /proc/self/fd/16:0x1\n"
      "p:loiter_4294967295_18446744073709551615/p77 /x:0x1 a=%di");
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0].name, "loiter_12_3456/p0");
  EXPECT_EQ(names[0].pid, 12u);
  EXPECT_EQ(names[0].start_ticks, 3456u);
  EXPECT_EQ(names[1].name, "loiter_4294967295_18446744073709551615/p77");
  EXPECT_EQ(names[1].pid, 4294967295u);
}

TEST(UprobeEventNames, ThatOnlyResembleOursAreLeftAlone) {
  for (const char* line : {"",
                           "\n\n",
                           "p",
                           "p:",
                           "p:loiter",
                           "p:loiter_",
                           "p:loiter_1/p0 /x:0x1",
                           "p:loiter_1_/p0 /x:0x1",
                           "p:loiter__2/p0 /x:0x1",
                           "p:loiter_1_2/ /x:0x1",
                           "p:loiter_1_2/p /x:0x1",
                           "p:loiter_1_2/q0 /x:0x1",
                           "p:loiter_1_2/p0x /x:0x1",
                           "p:loiter_1_2/p0/p1 /x:0x1",
                           "p:loiter_1_2_3/p0 /x:0x1",
                           "p:loiter_-1_2/p0 /x:0x1",
                           "p:loiter_4294967296_2/p0 /x:0x1",
                           "p:Loiter_1_2/p0 /x:0x1",
                           "loiter_1_2/p0 /x:0x1",
                           " p:loiter_1_2/p0 /x:0x1",
                           "p:x /loiter p:loiter_1_2/p0"})
    EXPECT_TRUE(uprobe_event_names(line).empty()) << line;
}

}  // namespace
}  // namespace loiter::test
