// Lines of styled text: cutting, filling, what is left out where room is short.
#include <gtest/gtest.h>

#include "cli/top/frame.h"

namespace loiter::top {
namespace {

TEST(TopFrame, ALineIsFittedToExactlyTheColumnsOfTheScreen) {
  for (size_t columns : {0, 1, 2, 5, 7, 8, 30}) {
    Line line("abc", Style::strong);
    line.add("日本語", Style::normal);  // two columns each
    line.add("x");
    line.fit(columns);
    EXPECT_EQ(line.width(), columns);
  }
}

TEST(TopFrame, CuttingKeepsTheStylesOfWhatIsLeft) {
  Line line("abc", Style::strong);
  line.add("defgh", Style::overdue);
  line.add("ijk");
  line.fit(5);
  EXPECT_EQ(line.text(), "abcd…");
  ASSERT_EQ(line.spans().size(), 2u);
  EXPECT_EQ(line.spans()[1].style, Style::overdue);
}

TEST(TopFrame, WhatIsFilledInTakesTheGivenStyle) {
  Line line("ab", Style::heading);
  line.fit(4, Style::banner);
  EXPECT_EQ(line.text(), "ab  ");
  EXPECT_EQ(line.spans().back().style, Style::banner);
}

TEST(TopFrame, PartsThatDoNotFitAreLeftOutAndLaterOnesThatDoAreTaken) {
  std::vector<Span> parts{{"one"}, {"a very long part"}, {"two"}};
  EXPECT_EQ(join_that_fits(parts, 9, " · ").text(), "one · two");
  EXPECT_EQ(join_that_fits(parts, 8, " · ").text(), "one");
  EXPECT_EQ(join_that_fits(parts, 2, " · ").text(), "");
  EXPECT_EQ(join_that_fits(parts, 99, " · ").text(), "one · a very long part · two");
}

TEST(TopFrame, TheRightPartGivesWayToTheLeftOne) {
  Line left("left", Style::normal), right("right", Style::strong);
  EXPECT_EQ(left_and_right(left, right, 12).text(), "left   right");
  EXPECT_EQ(left_and_right(left, right, 10).text(), "left      ");
  EXPECT_EQ(left_and_right(left, right, 2).text(), "l…");
}

}  // namespace
}  // namespace loiter::top
