#include "daemon/history/history_reader.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/base/clock.h"
#include "daemon/history/database.h"
#include "daemon/history/disk_thread.h"
#include "daemon/history/history_queries.h"
#include "daemon/history/state_dir.h"

namespace loiter {
namespace {

constexpr uint64_t kMostReadingNs = 5'000'000'000;
constexpr std::chrono::seconds kStopPatience{2};
constexpr size_t kMostWaiting = 32;

HistoryAnswerPtr refusal(const char* why) {
  auto answer = std::make_shared<HistoryAnswer>();
  answer->failure = why;
  return answer;
}

}  // namespace

HistoryAnswer read_history(const std::string& dir, bool alone, const HistoryQuery& query, uint64_t now_ns) {
  HistoryAnswer answer;
  Result<StateDir> state = StateDir::open(dir, StateDir::Use::read);
  if (!state) {
    answer.failure = state.error().message;
    return answer;
  }
  // After the end of a daemon in good order there is no log, and the file is all.
  const bool is_all = (alone || state->is_read_only()) && !state->has_log();
  const Database::Mode mode = is_all ? Database::Mode::read_only : Database::Mode::read;
  try {
    Database database(state->file(), mode);
    database.set_deadline(monotonic_now_ns() + kMostReadingNs);
    answer_query(database, query, now_ns, answer);
  } catch (const DatabaseError& error) {
    answer = {};
    answer.failure = state->file() + " cannot be read: " + error.message;
    if (error.code == SQLITE_CANTOPEN) answer.failure = "there is no history in " + state->path() + " yet";
    if (error.code == SQLITE_INTERRUPT) answer.failure = "reading the history took too long: ask for less";
  }
  return answer;
}

struct HistoryReader::Shared : DiskThread {
  std::string dir;
  bool alone = false;
  std::deque<std::pair<HistoryQuery, Done>> waiting;

  void run() {
    pthread_setname_np(pthread_self(), "history-read");
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return stopping || !waiting.empty(); });
      if (stopping) break;
      auto [query, done] = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      auto answer = std::make_shared<HistoryAnswer>(read_history(dir, alone, query, realtime_now_ns()));
      lock.lock();
      if (stopping) break;
      lock.unlock();
      done(std::move(answer));
      lock.lock();
    }
    note_end();
  }
};

HistoryReader::HistoryReader(std::string dir, bool alone) : shared_(std::make_shared<Shared>()) {
  shared_->dir = std::move(dir);
  shared_->alone = alone;
}

void HistoryReader::start() {
  thread_ = std::thread([shared = shared_] { shared->run(); });
}

void HistoryReader::stop() {
  shared_->stop(thread_, kStopPatience);
}

void HistoryReader::submit(const HistoryQuery& query, Done done) {
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->waiting.size() < kMostWaiting) {
      shared_->waiting.emplace_back(query, std::move(done));
      shared_->wake.notify_one();
      return;
    }
  }
  done(refusal("too many ask for the history at once: ask again"));
}

}  // namespace loiter
