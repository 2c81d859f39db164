// What a character becomes where the locale cannot show it.
#include <gtest/gtest.h>
#include <locale.h>

#include <string>

#include "cli/top/paint.h"

namespace loiter::top {
namespace {

class TopPaint : public ::testing::Test {
 protected:
  TopPaint() : former_(setlocale(LC_CTYPE, nullptr)) {}
  ~TopPaint() override { setlocale(LC_CTYPE, former_.c_str()); }

 private:
  std::string former_;
};

TEST_F(TopPaint, Utf8ShowsAll) {
  ASSERT_TRUE(setlocale(LC_CTYPE, "C.UTF-8"));
  EXPECT_EQ(showable("a└─é日…😀"), L"a└─é日…😀");
}

TEST_F(TopPaint, AsciiGetsPlainSignsOfTheSameMeaning) {
  ASSERT_TRUE(setlocale(LC_CTYPE, "C"));
  EXPECT_EQ(showable("│ ├─a · b…"), L"| |-a - b~");
  EXPECT_EQ(showable("└─OLDEST↓↑"), L"`-OLDESTv^");
}

TEST_F(TopPaint, AsciiShowsAQuestionMarkForTheRest) {
  ASSERT_TRUE(setlocale(LC_CTYPE, "C"));
  std::wstring shown = showable("é日x");
  EXPECT_EQ(shown.back(), L'x');
  for (wchar_t c : shown.substr(0, shown.size() - 1)) EXPECT_EQ(c, L'?');
}

}  // namespace
}  // namespace loiter::top
