// Where threads were made, as text: `loiter origins`, and parts of it for whoever shows one.
//
// Pure functions, any thread. All results are fit for a terminal (escape_for_terminal).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/origin_model.h"

namespace loiter::cli {

// The function that had the thread made: the innermost frame that is not of a thread library.
std::string creation_text(const OriginSite& site);

// "#0 …" each, then why the stack ends early.
std::vector<std::string> site_frame_lines(const OriginSite& site);

// "6 live of 20 born, 14 ended; the oldest lives 3m12s; half of the ended ones lived less than 4.2ms"
std::string site_figures(const OriginSite& site);

// A sentence for a word of `without_site`.
std::string reason_text(const std::string& reason, uint64_t count);

// All of the document. Lists of threads stay within `columns`. `is_private`: of a daemon that has just begun.
std::vector<std::string> origins_lines(const Origins& origins, size_t columns, bool is_private);

// For `loiter tree`: "[2] function" for each live thread whose site is known, by its tid; the numbers count
// the sites of the document from 1.
std::map<uint32_t, std::string> sites_of_threads(const Origins& origins);

// The sites that these numbers mean.
std::vector<std::string> numbered_sites(const Origins& origins, bool is_private);

}  // namespace loiter::cli
