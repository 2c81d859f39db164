// How columns share the width of the screen.
#include <gtest/gtest.h>

#include "cli/columns.h"
#include "cli/top/column_rows.h"
#include "cli/top/layout.h"

namespace loiter::top {
namespace {

std::vector<Heading> three() {
  return {{"A", 4, 4}, {"B", 6, 20}, {"C", 5, 9}};
}

size_t total(const std::vector<Placed>& places) {
  size_t sum = 0;
  for (const Placed& place : places) sum += place.width + (&place == &places.front() ? 0 : kGap);
  return sum;
}

TEST(TopLayout, NarrowScreensDropColumnsFromTheRight) {
  EXPECT_EQ(place_columns(three(), 4 + 6 + 5 + 2 * kGap).size(), 3u);
  EXPECT_EQ(place_columns(three(), 4 + 6 + 5 + 2 * kGap - 1).size(), 2u);
  EXPECT_EQ(place_columns(three(), 5).size(), 1u);
}

TEST(TopLayout, TheFirstColumnIsCutWhereNotEvenThatFits) {
  auto places = place_columns(three(), 2);
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].width, 2u);
  EXPECT_EQ(place_columns(three(), 0).at(0).width, 0u);
}

TEST(TopLayout, WhatIsLeftOverGoesToColumnsThatCanUseItAndNoFurther) {
  auto places = place_columns(three(), 23);
  EXPECT_EQ(total(places), 23u);
  EXPECT_EQ(places[0].width, 4u);
  EXPECT_EQ(places[1].width, 8u);
  EXPECT_EQ(places[2].width, 7u);
  places = place_columns(three(), 200);
  EXPECT_EQ(places[1].width, 20u);
  EXPECT_EQ(places[2].width, 9u);
}

TEST(TopLayout, NeverWiderThanTheScreen) {
  auto headings = headings_of(cli::process_columns());
  for (size_t columns = headings[0].width; columns < 400; ++columns)
    EXPECT_LE(total(place_columns(headings, columns)), columns);
}

template <typename Row>
std::vector<std::string> names_at(std::span<const cli::Column<Row>> columns, size_t width) {
  std::vector<std::string> names;
  for (const Placed& place : place_columns(headings_of(columns), width))
    names.emplace_back(columns[place.column].name);
  return names;
}

TEST(TopLayout, TheColumnsThatMatterAreThereAt80Columns) {
  for (const char* name : {"pid", "comm", "threads", "blocked", "overdue", "oldest", "finding", "cpu"}) {
    auto shown = names_at(cli::process_columns(), 80);
    EXPECT_NE(std::find(shown.begin(), shown.end(), name), shown.end()) << name;
  }
  for (const char* name : {"tid", "name", "state", "blocked", "overdue", "finding", "wait"}) {
    auto shown = names_at(cli::thread_columns(), 80);
    EXPECT_NE(std::find(shown.begin(), shown.end(), name), shown.end()) << name;
  }
}

}  // namespace
}  // namespace loiter::top
