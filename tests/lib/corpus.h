// Programs of the corpus (tests/corpus), what is expected of them, and whether a finding is that.
//
// Used by the thread that starts them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/lib/subprocess.h"

namespace loiter::test {

// The entries of expected.json of that mode.
std::vector<nlohmann::json> corpus_entries(const std::string& mode);

// A program that has come to its state.
class CorpusProgram {
 public:
  // Starts it; is_ready() waits for its line.
  CorpusProgram(const nlohmann::json& entry, uint64_t scale_ms);

  // Reads its line. False: it ended or said nothing in time.
  bool is_ready();
  const nlohmann::json& entry() const { return entry_; }
  std::string name() const { return entry_.at("name"); }
  pid_t pid() const { return process_->pid(); }
  // It and its children, as its line has them.
  const std::set<uint32_t>& pids() const { return pids_; }

 private:
  nlohmann::json entry_;
  std::unique_ptr<Subprocess> process_;
  std::set<uint32_t> pids_;
};

// One by its name, in that state; throws where it does not come to it.
std::unique_ptr<CorpusProgram> start_corpus(const std::string& name, const std::string& mode = "faulty",
                                            uint64_t scale_ms = 1000);

// Whether that finding is what the entry expects; `why` not.
bool is_expected(const nlohmann::json& finding, const nlohmann::json& entry, std::string& why);

// Whether it may be found besides.
bool is_allowed(const nlohmann::json& finding, const nlohmann::json& entry);

}  // namespace loiter::test
