#include "daemon/base/bytes.h"

#include <gtest/gtest.h>
#include <locale.h>

namespace loiter {
namespace {

const std::string kReplacement = "\xef\xbf\xbd";

TEST(EscapeForTerminal, PrintableTextPasses) {
  for (const char* text : {"", "worker-1", "a b", "\"quoted\" 'too'", "grün", "日本語", "😀", "~"})
    EXPECT_EQ(escape_for_terminal(text), text);
}

TEST(EscapeForTerminal, ControlsBecomeVisible) {
  EXPECT_EQ(escape_for_terminal("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(escape_for_terminal("\n\r\t"), "\\n\\r\\t");
  EXPECT_EQ(escape_for_terminal(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(escape_for_terminal("\x7f\x08\x07"), "\\x7f\\x08\\x07");
  EXPECT_EQ(escape_for_terminal("\xc2\x9b"), "\\x9b") << "CSI as a C1 control";
  EXPECT_EQ(escape_for_terminal("\xc2\x85"), "\\x85") << "next line";
}

TEST(EscapeForTerminal, NoControlByteEverLeaves) {
  for (int c = 0; c < 256; ++c) {
    const std::string out = escape_for_terminal(std::string(1, static_cast<char>(c)));
    for (const char byte : out) EXPECT_TRUE(byte >= 0x20 && byte < 0x7f) << c;
  }
}

TEST(EscapeForTerminal, BidiAndInvisibleMarks) {
  EXPECT_EQ(escape_for_terminal("\u202e"), "\\u202e");
  EXPECT_EQ(escape_for_terminal("\u2066\u2069"), "\\u2066\\u2069");
  EXPECT_EQ(escape_for_terminal("\u200b\u200f\u061c"), "\\u200b\\u200f\\u061c");
  EXPECT_EQ(escape_for_terminal("\ufeff\u00ad"), "\\ufeff\\xad");
  EXPECT_EQ(escape_for_terminal("\u2028\u2029"), "\\u2028\\u2029");
  EXPECT_EQ(escape_for_terminal("\U000e0041"), "\\U000e0041");
}

TEST(EscapeForTerminal, ABackslashIsDoubledSoThatNothingCanBeFeigned) {
  EXPECT_EQ(escape_for_terminal("\\x1b"), "\\\\x1b");
  EXPECT_NE(escape_for_terminal("\\n"), escape_for_terminal("\n"));
}

TEST(EscapeForTerminal, InvalidUtf8ByteByByte) {
  EXPECT_EQ(escape_for_terminal("\xff"), "\\xff");
  EXPECT_EQ(escape_for_terminal("a\x80z"), "a\\x80z");
  EXPECT_EQ(escape_for_terminal("\xe2\x82"), "\\xe2\\x82") << "cut short";
  EXPECT_EQ(escape_for_terminal("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(escape_for_terminal("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(escape_for_terminal("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(escape_for_terminal("\xe2\x1b[m"), "\\xe2\\x1b[m") << "a sequence that swallows no escape";
}

TEST(ToValidUtf8, ValidTextPasses) {
  for (const char* text :
       {"", "abc", "grün", "日本語", "😀", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\x1b\n"})
    EXPECT_EQ(to_valid_utf8(text), text);
  EXPECT_EQ(to_valid_utf8(std::string_view("\0", 1)), std::string(1, '\0'));
}

// The examples of the Unicode standard, section 3.9, tables 3-8 to 3-11: maximal subparts.
TEST(ToValidUtf8, ReplacesMaximalSubparts) {
  const std::string r = kReplacement;
  EXPECT_EQ(to_valid_utf8("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(to_valid_utf8("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(to_valid_utf8("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), r + r + r + r + "A");
}

TEST(ToValidUtf8, WhatComesOutIsValid) {
  // Every string of three bytes out of those that matter.
  const std::string bytes = "\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xdf\xe0\xed\xef\xf0\xf4\xf5\xff";
  for (const char a : bytes)
    for (const char b : bytes)
      for (const char c : bytes) {
        const std::string once = to_valid_utf8(std::string{a, b, c});
        ASSERT_EQ(to_valid_utf8(once), once);
        ASSERT_EQ(escape_for_terminal(once).find("\\xff"), std::string::npos);
      }
}

class Width : public ::testing::Test {
 protected:
  Width() : former_(setlocale(LC_CTYPE, nullptr)) { EXPECT_NE(setlocale(LC_CTYPE, "C.UTF-8"), nullptr); }
  ~Width() override { setlocale(LC_CTYPE, former_.c_str()); }

 private:
  std::string former_;
};

TEST_F(Width, WideCharactersCountTwoAndCombiningOnesNothing) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("grün"), 4u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("├─ "), 3u);
}

TEST_F(Width, FitPadsAndCuts) {
  EXPECT_EQ(fit_columns("ab", 4), "ab  ");
  EXPECT_EQ(fit_columns("ab", 4, true), "  ab");
  EXPECT_EQ(fit_columns("abcd", 4), "abcd");
  EXPECT_EQ(fit_columns("abcde", 4), "abc…");
  EXPECT_EQ(fit_columns("abcde", 1), "…");
  EXPECT_EQ(fit_columns("abcde", 0), "");
  EXPECT_EQ(fit_columns("", 2), "  ");
}

TEST_F(Width, FitNeverCutsAWideCharacterInHalf) {
  EXPECT_EQ(fit_columns("日本語", 6), "日本語");
  EXPECT_EQ(fit_columns("日本語", 5), "日本…");
  EXPECT_EQ(fit_columns("日本語", 4), "日… ");
  for (size_t columns = 0; columns < 10; ++columns)
    EXPECT_EQ(display_width(fit_columns("a日e\u0301本語zz", columns)), columns);
}

TEST(WidthWithoutLocale, IsStillSafe) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(fit_columns("abcde", 3), "ab…");
}

}  // namespace
}  // namespace loiter
