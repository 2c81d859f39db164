#include "daemon/base/duration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace loiter {
namespace {

constexpr uint64_t kUs = 1'000, kMs = 1'000'000, kS = 1'000'000'000, kM = 60 * kS, kH = 60 * kM, kD = 24 * kH;

TEST(ParseDuration, EachUnit) {
  EXPECT_EQ(parse_duration("7ns"), 7u);
  EXPECT_EQ(parse_duration("7us"), 7 * kUs);
  EXPECT_EQ(parse_duration("7ms"), 7 * kMs);
  EXPECT_EQ(parse_duration("7s"), 7 * kS);
  EXPECT_EQ(parse_duration("7m"), 7 * kM);
  EXPECT_EQ(parse_duration("7h"), 7 * kH);
  EXPECT_EQ(parse_duration("7d"), 7 * kD);
}

TEST(ParseDuration, FractionsAndSums) {
  EXPECT_EQ(parse_duration("1.5m"), 90 * kS);
  EXPECT_EQ(parse_duration(".5s"), 500 * kMs);
  EXPECT_EQ(parse_duration("0.0000000001s"), 0u);
  EXPECT_EQ(parse_duration("1h30m"), 90 * kM);
  EXPECT_EQ(parse_duration("1m1ms1us1ns"), kM + kMs + kUs + 1);
  EXPECT_EQ(parse_duration("3m12s"), 192 * kS);
  EXPECT_EQ(parse_duration("0s"), 0u);
  EXPECT_EQ(parse_duration("00012s"), 12 * kS);
}

TEST(ParseDuration, RefusesAllElse) {
  for (const char* text :
       {"",      "s",      "5",    "1m30", "-5s", "+5s",  " 5s",        "5s ",  "5 s", "5S",
        "5sec",  "5min",   "1e3s", "0x5s", "inf", "infs", "nan",        "nans", ".",   ".s",
        "1..5s", "1.5.2s", "1,5s", "5s;",  "s5",  "--5s", "5\xc2\xb5s", "5s\n"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << "'" << text << "'";
  EXPECT_EQ(parse_duration(std::string_view("5s\0", 3)), std::nullopt);
}

TEST(ParseDuration, RefusesWhatIsTooLong) {
  EXPECT_EQ(parse_duration("292y"), std::nullopt);
  EXPECT_EQ(parse_duration("106000d"), 106'000 * kD);
  EXPECT_EQ(parse_duration("107000d"), std::nullopt);
  EXPECT_EQ(parse_duration("60000d60000d"), std::nullopt);
  EXPECT_EQ(parse_duration("18446744073709551616ns"), std::nullopt);
  EXPECT_EQ(parse_duration(std::string(400, '9') + "s"), std::nullopt);
}

TEST(DurationError, NamesTheTextAndAnExample) {
  EXPECT_THAT(duration_error("5 apples"), ::testing::HasSubstr("'5 apples'"));
  EXPECT_THAT(duration_error(""), ::testing::HasSubstr("30s"));
}

TEST(FormatDuration, TheRightUnit) {
  EXPECT_EQ(format_duration(0), "0ns");
  EXPECT_EQ(format_duration(12), "12ns");
  EXPECT_EQ(format_duration(870 * kUs), "870us");
  EXPECT_EQ(format_duration(15'200 * kUs), "15.2ms");
  EXPECT_EQ(format_duration(1'530 * kMs), "1.53s");
  EXPECT_EQ(format_duration(30 * kS), "30.0s");
  EXPECT_EQ(format_duration(192 * kS), "3m12s");
  EXPECT_EQ(format_duration(62 * kM), "1h02m");
  EXPECT_EQ(format_duration(52 * kH), "2d04h");
}

TEST(FormatDuration, RoundingAtTheEdgesMakesNoOddFigures) {
  EXPECT_EQ(format_duration(999), "999ns");
  EXPECT_EQ(format_duration(kUs), "1.00us");
  EXPECT_EQ(format_duration(9'994), "9.99us");
  EXPECT_EQ(format_duration(9'996), "10.0us");
  EXPECT_EQ(format_duration(99'960), "100us");
  EXPECT_EQ(format_duration(999'499), "999us");
  EXPECT_EQ(format_duration(999'500), "1.00ms");
  EXPECT_EQ(format_duration(999'499'999), "999ms");
  EXPECT_EQ(format_duration(999'500'000), "1.00s");
  EXPECT_EQ(format_duration(59'949 * kMs), "59.9s");
  EXPECT_EQ(format_duration(59'950 * kMs), "1m00s");
  EXPECT_EQ(format_duration(kH - 1), "1h00m");
  EXPECT_EQ(format_duration(kD - 1), "1d00h");
  EXPECT_EQ(format_duration(kH - kS), "59m59s");
}

TEST(FormatDuration, NeverWiderThanSevenBelowAHundredDays) {
  for (uint64_t ns = 1; ns < 100 * kD - kS; ns += ns / 7 + 1)
    ASSERT_LE(format_duration(ns).size(), 7u) << ns << " " << format_duration(ns);
}

TEST(FormatDuration, TheLongestThereIs) {
  EXPECT_EQ(format_duration(std::numeric_limits<uint64_t>::max()), "213503d23h");
}

TEST(FormatDuration, ReadsBackAsAboutTheSame) {
  for (uint64_t ns = 1; ns < 90 * kD; ns += ns / 3 + 1) {
    const auto back = parse_duration(format_duration(ns));
    ASSERT_TRUE(back) << format_duration(ns);
    const uint64_t apart = *back > ns ? *back - ns : ns - *back;
    ASSERT_LE(apart, ns / 24 + 1) << ns << " "
                                  << format_duration(ns);  // hours cut from days: at most 1 in 24
  }
}

}  // namespace
}  // namespace loiter
