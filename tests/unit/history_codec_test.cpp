// A finding as bytes and back, and bytes that are none.
#include "daemon/history/finding_codec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "daemon/serve/finding_documents.h"
#include "tests/unit/history_made.h"

namespace loiter::test {
namespace {

TEST(FindingCodec, GivesBackAllThatADocumentTells) {
  auto kept = std::make_shared<KeptFinding>(*made_finding("deadlock-10-1"));
  kept->finding.summary = "two wait";
  kept->resolved_boot_ns = 9;
  kept->resolution = Resolution::cause_gone;
  kept->unwatched = true;
  const auto decoded = decode_finding(encode_finding(*kept, {{20, 0, "other"}, {20, 21, "holder"}}));
  ASSERT_TRUE(decoded);
  const auto snapshot = make_snapshot({});
  EXPECT_EQ(dump(finding_json(*snapshot, decoded->kept)), dump(finding_json(*snapshot, *kept)));
  EXPECT_EQ(decoded->kept.finding.threads.at(0).key, kept->finding.threads.at(0).key);
  EXPECT_EQ(decoded->kept.finding.threads.at(0).site->frames, kept->finding.threads.at(0).site->frames);
  ASSERT_EQ(decoded->names.size(), 2u);
  EXPECT_EQ(decoded->names.at(1).name, "holder");
}

TEST(FindingCodec, ReplacesWhatIsNoText) {
  const auto decoded = decode_finding(encode_finding(*made_finding("a"), {}));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->kept.finding.summary, "two wait\xef\xbf\xbd");
}

TEST(FindingCodec, RefusesWhatIsDamaged) {
  const std::string whole = encode_finding(*made_finding("a"), {});
  EXPECT_FALSE(decode_finding(""));
  EXPECT_FALSE(decode_finding("nothing of the kind"));
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode_finding(whole.substr(0, size)));
  const std::string whole_again = encode_finding(decode_finding(whole)->kept, {});
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string broken = whole;
    broken[random() % broken.size()] ^= static_cast<char>(1 + random() % 255);
    // The checksum holds what is stored; some bytes of the head before it mean nothing.
    if (const auto decoded = decode_finding(broken)) {
      EXPECT_EQ(encode_finding(decoded->kept, decoded->names), whole_again);
    }
  }
}

}  // namespace
}  // namespace loiter::test
