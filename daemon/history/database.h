// SQLite, as far as the history needs it: a connection and statements that close themselves, and errors as
// values.
//
// A connection and its statements are used by one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace loiter {

// An error of the library, thrown within daemon/history alone.
struct DatabaseError {
  int code = 0;  // primary result code
  std::string message;

  // The file is no database, or not whole: no use to try again.
  bool is_damage() const;
  bool is_full() const { return code == SQLITE_FULL; }
};

class Statement;

class Database {
 public:
  enum class Mode : uint8_t {
    write,      // made where it is not there
    read,       // beside who writes it
    read_only,  // nobody writes it, and nothing is written beside it
  };
  // `path`: absolute, without symbolic links.
  Database(const std::string& path, Mode mode);

  void run(const char* sql);
  int64_t number(const char* sql);  // the first column of the first row; 0 without a row
  uint64_t changes() const { return static_cast<uint64_t>(sqlite3_changes64(handle_.get())); }
  int64_t last_id() const { return sqlite3_last_insert_rowid(handle_.get()); }
  // What is under way ends with an error once that time (CLOCK_MONOTONIC) has come; 0: never.
  void set_deadline(uint64_t mono_ns);
  sqlite3* handle() const { return handle_.get(); }

  [[noreturn]] void fail(int code) const;
  void check(int code) const {
    if (code != SQLITE_OK) fail(code);
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
  uint64_t deadline_mono_ns_ = 0;
};

class Statement {
 public:
  Statement(Database& database, const char* sql);

  Statement& bind(int64_t value);
  Statement& bind(uint64_t value) { return bind(static_cast<int64_t>(value)); }
  Statement& bind(uint32_t value) { return bind(static_cast<int64_t>(value)); }
  Statement& bind(std::string_view text);
  Statement& bind(std::optional<uint64_t> value);
  Statement& bind_bytes(std::string_view bytes);

  bool step();  // whether there is a row
  void run();   // to its end; then it can be bound anew
  void reset();

  bool is_null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
  int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  // Nothing below 0 is stored: what is there all the same counts as 0.
  uint64_t count(int column) const {
    return integer(column) < 0 ? 0 : static_cast<uint64_t>(integer(column));
  }
  uint32_t small(int column) const;
  std::string text(int column) const;  // bytes, too

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  int next_ = 1;
};

// Undone where it is not committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace loiter
