// Chains of waiting threads as text: `loiter chain`, and the sentences that `loiter why` is made of.
//
// Pure functions, any thread. All results are fit for a terminal (escape_for_terminal).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/chain_model.h"

namespace loiter::cli {

// "4711 db-writer"; of a process other than `own_pid` with that: "4711 db-writer of pid 812 api".
std::string who_text(const ChainLink& link, uint32_t own_pid);

// How it ends: "4711 db-writer runs", "DEADLOCK: back to 4712 worker", "the owner 4711 has ended: …".
std::string end_text(const Chain& chain, uint32_t own_pid);

// "for 3m12s", "for about 3m12s", "for 3m12s to 3m15s", "for at least 3m12s", "for an unknown time";
// empty where it is not blocked.
std::string age_in_words(const Age& age);

// All of the document. `tid`: it holds the one chain of that thread, which is told whatever it says.
// `columns`: what links shall not exceed as far as that can be.
std::vector<std::string> chains_lines(const Chains& chains, std::optional<uint32_t> tid,
                                      std::optional<size_t> columns = std::nullopt);

}  // namespace loiter::cli
