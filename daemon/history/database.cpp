#include "daemon/history/database.h"

#include <algorithm>
#include <limits>

#include "daemon/base/clock.h"

namespace loiter {
namespace {

constexpr int kLongestValue = 8 << 20;  // of what is stored nothing comes near
constexpr int kStepsBetweenLooks = 4000;
constexpr int kBusyMs = 2000;  // only a checkpoint of the other connection holds one up

}  // namespace

bool DatabaseError::is_damage() const {
  switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_SCHEMA:
    case SQLITE_TOOBIG:
    case SQLITE_ERROR:  // no such table or column, of a file that is not ours
      return true;
    default:
      return false;
  }
}

Database::Database(const std::string& path, Mode mode) {
  std::string uri = "file:";
  for (const char c : path) {  // '?', '#' and '%' have a meaning there
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '?' || c == '#' || c == '%')
      uri += {'%', kHex[byte >> 4], kHex[byte & 15]};
    else
      uri += c;
  }
  if (mode == Mode::read_only) uri += "?immutable=1";
  const int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE |
                    (mode == Mode::write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(uri.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (!handle) throw DatabaseError{SQLITE_NOMEM, "out of memory"};
  check(code);
  sqlite3_busy_timeout(handle, kBusyMs);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kLongestValue);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_progress_handler(
      handle, kStepsBetweenLooks,
      [](void* self) {
        const uint64_t deadline = static_cast<Database*>(self)->deadline_mono_ns_;
        return deadline != 0 && monotonic_now_ns() > deadline ? 1 : 0;
      },
      this);
}

void Database::fail(int code) const {
  throw DatabaseError{code & 0xff, sqlite3_errmsg(handle_.get())};
}

void Database::run(const char* sql) {
  check(sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr));
}

int64_t Database::number(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void Database::set_deadline(uint64_t mono_ns) {
  deadline_mono_ns_ = mono_ns;
}

Statement::Statement(Database& database, const char* sql) : database_(database) {
  sqlite3_stmt* handle = nullptr;
  database_.check(sqlite3_prepare_v2(database_.handle(), sql, -1, &handle, nullptr));
  handle_.reset(handle);
}

Statement& Statement::bind(int64_t value) {
  database_.check(sqlite3_bind_int64(handle_.get(), next_++, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  database_.check(sqlite3_bind_text64(handle_.get(), next_++, text.data() ? text.data() : "", text.size(),
                                      SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(std::optional<uint64_t> value) {
  if (value) return bind(*value);
  database_.check(sqlite3_bind_null(handle_.get(), next_++));
  return *this;
}

Statement& Statement::bind_bytes(std::string_view bytes) {
  database_.check(sqlite3_bind_blob64(handle_.get(), next_++, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3_reset(handle_.get());
  database_.fail(code);
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() {
  sqlite3_reset(handle_.get());
  next_ = 1;
}

uint32_t Statement::small(int column) const {
  return static_cast<uint32_t>(std::min<uint64_t>(count(column), std::numeric_limits<uint32_t>::max()));
}

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(handle_.get(), column);
  const int size = sqlite3_column_bytes(handle_.get(), column);
  return bytes && size > 0 ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(size)) : "";
}

Transaction::~Transaction() {
  // Some errors have undone it already.
  if (open_ && !sqlite3_get_autocommit(database_.handle()))
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace loiter
