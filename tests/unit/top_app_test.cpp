// All of `loiter top` but the terminal and the daemon: what keys and pictures make of the screen.
#include <gtest/gtest.h>

#include "cli/top/app.h"
#include "tests/unit/top_samples.h"

namespace loiter::top::test {
namespace {

constexpr uint64_t kNow = 100 * kSecond;
constexpr uint64_t kPatience = 5 * kSecond;

class TopApp : public ::testing::Test {
 protected:
  std::vector<std::string> screen(size_t rows = 24, size_t columns = 80, uint64_t now = kNow) {
    Frame frame = app.frame(rows, columns, now);
    for (const Line& line : frame.lines) EXPECT_LE(line.width(), columns);
    return text_of(frame.lines);
  }
  std::string text(uint64_t now = kNow) { return joined(screen(24, 80, now)); }
  bool shows(const std::string& what, uint64_t now = kNow) {
    return text(now).find(what) != std::string::npos;
  }
  void press(KeyCode code) { app.on_key(key_of(code)); }
  void deliver(const Reply& reply, uint64_t now = kNow) { app.on_reply(reply, now); }

  void open_first() {
    deliver(list_reply({alpha, beta}));
    press(KeyCode::enter);
    deliver(tree_reply(alpha, {thread(10, {}, "main", 1), thread(11, 10, "helper", 2)}));
  }

  cli::ProcessRow alpha = process(10, "alpha", 90, 1), beta = process(20, "beta", 50);
  App app{kSecond, kPatience};
};

TEST_F(TopApp, BeforeTheFirstPictureItSaysThatItWaits) {
  EXPECT_TRUE(shows("waiting for the first census"));
  EXPECT_EQ(app.wanted(), std::vector<Request>{Request{}});
}

TEST_F(TopApp, TheHostLineHasAllItsFigures) {
  deliver(list_reply({alpha, beta}));
  auto lines = screen();
  EXPECT_EQ(lines[0].substr(0, lines[0].find("  ")),
            "loiter top · devbox · 33 threads in 2 processes · 2 overdue · 7 blocked");
  EXPECT_EQ(lines[1].substr(0, lines[1].find("  ")),
            "born 12.0/s, ended 11.5/s · census 13.2ms · no losses · overdue past 30.0s");
  EXPECT_EQ(lines.size(), 24u);
}

TEST_F(TopApp, LossesAreToldInWordsAndFirst) {
  Reply reply = list_reply({alpha});
  auto list = std::make_shared<cli::ProcessList>(*reply.list);
  list->host.losses_total = 12;
  reply.list = list;
  deliver(reply);
  for (size_t columns : {40, 80})
    EXPECT_EQ(screen(24, columns)[0].find("loiter top · devbox · LOST 12 records"), 0u);
  EXPECT_FALSE(shows("no losses"));
}

TEST_F(TopApp, EnterOpensAProcessAndEscLeavesIt) {
  open_first();
  EXPECT_TRUE(shows("10 alpha · 2 threads"));
  EXPECT_TRUE(shows("└─helper"));
  EXPECT_EQ(app.wanted(), (std::vector<Request>{Request{10}, Request{}}));
  for (KeyCode back : {KeyCode::escape, KeyCode::backspace, KeyCode::left}) {
    press(back);
    EXPECT_TRUE(shows("Processes by OLDEST↓"));
    press(KeyCode::enter);
  }
}

TEST_F(TopApp, OnTheWayBackTheCursorIsOnTheProcessThatWasOpened) {
  open_first();
  press(KeyCode::escape);
  deliver(list_reply({process(10, "alpha", 1), process(20, "beta", 50)}));
  press(KeyCode::enter);
  EXPECT_TRUE(shows("10 alpha"));
}

TEST_F(TopApp, TTurnsTheTreeIntoAListAndBack) {
  open_first();
  type(app, "t");
  EXPECT_TRUE(shows("flat by BLOCKED↓"));
  EXPECT_FALSE(shows("└─helper"));
  type(app, "t");
  EXPECT_TRUE(shows("└─helper"));
}

TEST_F(TopApp, EShowsTheThreadsThatEnded) {
  open_first();
  deliver(tree_reply(alpha, {thread(10, {}, "main", 1)}, 100, {ended(thread(12, 10, "bygone", 3), 4)}));
  EXPECT_TRUE(shows("1 ended (e)"));
  EXPECT_FALSE(shows("bygone"));
  type(app, "e");
  EXPECT_TRUE(shows("bygone"));
}

TEST_F(TopApp, SearchFollowsEachLetterAndEscDropsIt) {
  deliver(list_reply({alpha, beta, process(30, "bingo", 40)}));
  type(app, "/bi");
  EXPECT_TRUE(shows("Search: bi"));
  press(KeyCode::enter);
  press(KeyCode::enter);
  EXPECT_TRUE(shows("30 bingo"));
  press(KeyCode::escape);
  type(app, "/be");
  press(KeyCode::escape);
  EXPECT_FALSE(shows("Search:"));
  press(KeyCode::enter);
  EXPECT_TRUE(shows("30 bingo")) << "a search given up takes the cursor back to where it began";
}

TEST_F(TopApp, LettersOfAQuestionAreNoCommands) {
  deliver(list_reply({alpha}));
  type(app, "/q h?");
  EXPECT_FALSE(app.done());
  EXPECT_TRUE(shows("Search: q h?"));
  EXPECT_TRUE(shows("no row holds it"));
  press(KeyCode::backspace);
  EXPECT_FALSE(shows("Search: q h?"));
  press(KeyCode::interrupt);
  EXPECT_TRUE(app.done());
}

TEST_F(TopApp, AFilterStaysUntilEscAndIsTold) {
  deliver(list_reply({alpha, beta}));
  type(app, "\\bet");
  press(KeyCode::enter);
  EXPECT_TRUE(shows("filter 'bet': 1 shown"));
  EXPECT_FALSE(shows("alpha"));
  deliver(list_reply({alpha, beta}));
  EXPECT_FALSE(shows("alpha"));
  press(KeyCode::escape);
  EXPECT_TRUE(shows("alpha"));
}

TEST_F(TopApp, PauseFreezesTheFiguresWhileTheCursorMoves) {
  deliver(list_reply({alpha, beta}));
  type(app, " ");
  EXPECT_TRUE(app.wanted().empty());
  deliver(list_reply({process(10, "alpha", 77777), beta}));
  EXPECT_TRUE(shows("1m30s")) << text();
  press(KeyCode::down);
  type(app, ">");
  EXPECT_TRUE(shows("FINDING↓"));
  EXPECT_TRUE(shows("PAUSED", kNow + 35 * kSecond));
  EXPECT_TRUE(shows("picture of 06:44:17Z, 35s old", kNow + 35 * kSecond));
  type(app, " ");
  EXPECT_FALSE(shows("PAUSED"));
  EXPECT_EQ(app.wanted().size(), 1u);
}

TEST_F(TopApp, ThePauseBannerFillsItsLineOnScreensOfAnySize) {
  deliver(list_reply({alpha, beta}));
  type(app, " ");
  for (auto [rows, columns] : {std::pair<size_t, size_t>{24, 80}, {60, 200}, {10, 40}, {2, 6}}) {
    size_t banners = 0;
    for (const Line& line : app.frame(rows, columns, kNow).lines) {
      if (line.spans().empty() || line.spans()[0].style != Style::banner) continue;
      ++banners;
      EXPECT_EQ(line.text().substr(0, 6), "PAUSED");
      EXPECT_EQ(line.width(), columns);
      for (const Span& span : line.spans()) EXPECT_EQ(span.style, Style::banner);
    }
    EXPECT_EQ(banners, 1u) << rows << "x" << columns;
  }
}

TEST_F(TopApp, AProcessOpenedWhilePausedGetsOnePicture) {
  deliver(list_reply({alpha, beta}));
  type(app, " ");
  press(KeyCode::enter);
  EXPECT_EQ(app.wanted(), std::vector<Request>{Request{10}});
  deliver(tree_reply(alpha, {thread(10, {}, "first", 1)}));
  deliver(tree_reply(alpha, {thread(10, {}, "second", 1)}));
  EXPECT_TRUE(shows("first"));
  EXPECT_TRUE(app.wanted().empty());
}

TEST_F(TopApp, AnOldPictureShowsItsAge) {
  deliver(list_reply({alpha}));
  EXPECT_FALSE(shows("old", kNow + 2 * kSecond));
  EXPECT_TRUE(shows("data 5s old", kNow + 5 * kSecond));
  EXPECT_TRUE(shows("data 2m00s old", kNow + 120 * kSecond));
}

TEST_F(TopApp, AProcessThatEndsKeepsItsLastPictureAndSaysSo) {
  open_first();
  deliver(error_reply(10, "there is no process 10"));
  EXPECT_TRUE(shows("there is no process 10"));
  deliver(list_reply({beta}, 101));
  EXPECT_TRUE(shows("10 alpha · PROCESS has ended, this is its last picture"));
  EXPECT_TRUE(shows("└─helper"));
  EXPECT_EQ(app.wanted(), std::vector<Request>{Request{}}) << "nothing more to ask about it";
  EXPECT_FALSE(app.failure());
}

TEST_F(TopApp, TheTimeOfItsEndIsToldWhereTheDaemonKeepsIt) {
  open_first();
  cli::ProcessRow gone = alpha;
  gone.ended = "2026-11-21T06:50:01.000000001Z";
  deliver(tree_reply(gone, {}, 101, {ended(thread(10, {}, "main", 1), 101)}));
  EXPECT_TRUE(shows("PROCESS ended at 06:50:01Z"));
  EXPECT_TRUE(shows("└─helper"));
}

TEST_F(TopApp, APidUsedAgainIsNotTakenForTheProcess) {
  open_first();
  cli::ProcessRow other = process(10, "other", 1);
  other.start_boottime_ns += 1;
  deliver(tree_reply(other, {thread(10, {}, "stranger", 1)}));
  EXPECT_TRUE(shows("its pid is in use again"));
  EXPECT_FALSE(shows("stranger"));
}

TEST_F(TopApp, AListOlderThanTheTreeDoesNotEndTheProcess) {
  open_first();
  deliver(list_reply({beta}, 99));
  EXPECT_FALSE(shows("PROCESS"));
}

TEST_F(TopApp, ADaemonThatComesBackInTimeIsForgiven) {
  deliver(list_reply({alpha}));
  deliver(error_reply(0, "no daemon"), kNow);
  EXPECT_TRUE(shows("no daemon"));
  EXPECT_FALSE(app.failure());
  deliver(list_reply({alpha}), kNow + 4 * kSecond);
  deliver(error_reply(0, "no daemon"), kNow + 6 * kSecond);
  EXPECT_FALSE(app.failure());
  deliver(error_reply(0, "no daemon"), kNow + 11 * kSecond);
  ASSERT_TRUE(app.failure());
  EXPECT_EQ(app.failure()->message, "no daemon");
}

TEST_F(TopApp, HelpOpensOnEachOfItsKeysAndClosesOnAny) {
  deliver(list_reply({alpha}));
  for (Key key : {key_of('?'), key_of('h'), key_of(KeyCode::help)}) {
    app.on_key(key);
    EXPECT_TRUE(shows("Help"));
    type(app, "q");
    EXPECT_FALSE(shows("Help"));
    EXPECT_FALSE(app.done());
  }
}

TEST_F(TopApp, HelpScrollsWhereTheScreenIsSmall) {
  type(app, "?");
  EXPECT_EQ(joined(screen(10, 40)).find("(123)"), std::string::npos);
  press(KeyCode::end);
  EXPECT_NE(joined(screen(10, 40)).find("(123)"), std::string::npos);
  press(KeyCode::home);
  EXPECT_NE(joined(screen(10, 40)).find("arrows"), std::string::npos);
}

TEST_F(TopApp, QuitsOnEachOfItsKeys) {
  for (Key key : {key_of('q'), key_of(KeyCode::quit), key_of(KeyCode::interrupt)}) {
    App other(kSecond, kPatience);
    other.on_key(key);
    EXPECT_TRUE(other.done());
  }
}

TEST_F(TopApp, EscInTheFirstViewDoesNotQuit) {
  deliver(list_reply({alpha}));
  press(KeyCode::escape);
  press(KeyCode::left);
  press(KeyCode::backspace);
  EXPECT_FALSE(app.done());
  EXPECT_TRUE(shows("Processes"));
}

TEST_F(TopApp, EverySizeOfScreenGetsAFrameThatFits) {
  open_first();
  for (int opened = 0; opened < 2; ++opened, press(KeyCode::escape))
    for (size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 24, 60})
      for (size_t columns : {1, 2, 9, 40, 80, 200}) {
        Frame frame = app.frame(rows, columns, kNow);
        EXPECT_LE(frame.lines.size(), rows);
        for (const Line& line : frame.lines) EXPECT_LE(line.width(), columns);
      }
}

TEST_F(TopApp, AQuestionIsSeenAlsoWhereThereIsNoFootLine) {
  deliver(list_reply({alpha}));
  type(app, "/al");
  EXPECT_NE(joined(screen(3, 40)).find("Search: al"), std::string::npos);
}

}  // namespace
}  // namespace loiter::top::test
