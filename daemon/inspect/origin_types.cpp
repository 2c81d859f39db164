#include "daemon/inspect/origin_types.h"

#include <array>

namespace loiter {
namespace {

struct Words {
  const char* word;
  const char* text;
};

constexpr std::array kGaps{Words{"known", "it is known"},
#define LOITER_SITE_GAP_WORDS(name, text) Words{#name, text},
                           LOITER_SITE_GAPS(LOITER_SITE_GAP_WORDS)
#undef LOITER_SITE_GAP_WORDS
};
static_assert(kGaps.size() == static_cast<size_t>(SiteGap::count));

}  // namespace

const char* to_string(SiteGap gap) {
  return kGaps.at(static_cast<size_t>(gap)).word;
}

const char* explanation_of(SiteGap gap) {
  return kGaps.at(static_cast<size_t>(gap)).text;
}

}  // namespace loiter
