#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace cellar::store {

// Bytes of any kind as a column or parameter; a plain string_view is text without NUL bytes.
struct Bytes {
  std::string_view view;
};

struct DatabaseOptions {
  // The file cannot grow beyond; what would not fit throws Error `exhausted`.
  std::uint64_t bytes_max = std::uint64_t{4} << 30;
  // How long a call waits while another process has the file locked.
  std::chrono::milliseconds busy_timeout{5000};
};

// One SQLite file and the connection to it. WAL, synchronous=FULL: what a transaction (or a single
// statement outside of one) wrote is durable when the call returns, or not there at all.
//
// Every call throws Error: `exhausted` where the disk or the file is full, `corrupt` for a damaged
// file, `unavailable` where another process holds it, `already_exists` for a key that is taken.
//
// Blocking, not thread-safe: for one pool job at a time, on whatever thread.
class Database {
 public:
  // Opens or creates the file, mode 0600; its folder must be there. `schema` is SQL that makes the
  // tables; `version`, from 1 upwards, is its number, stored in the file. A file of another version
  // throws Error `corrupt`, reason `other_format`.
  Database(const std::string& path, int version, std::string_view schema,
           const DatabaseOptions& options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one statement that gives no rows. Returns how many rows it changed.
  template <typename... Args>
  std::int64_t run(std::string_view sql, const Args&... args);

  // Writes all of the file at `from` as it is now to the new file `to`, not durably. By a
  // connection of its own: who has the file open reads and writes meanwhile. Throws Error as all
  // others do.
  static void copy(const std::string& from, std::string_view to);

  const std::string& path() const noexcept { return path_; }

 private:
  friend class Statement;
  friend class Transaction;

  struct ReadOnly {};
  Database(const std::string& path, ReadOnly);

  void open(int flags, std::chrono::milliseconds busy_timeout);
  void set_up(std::uint64_t bytes_max);
  void close() noexcept;
  void apply_schema(int version, std::string_view schema);
  void run_script(const std::string& sql);
  std::int64_t changed_count() const noexcept;
  sqlite3_stmt* take(std::string_view sql);
  void give_back(std::string_view sql, sqlite3_stmt* statement) noexcept;
  [[noreturn]] void fail(int result, std::string_view what) const;

  std::string path_;
  sqlite3* connection_ = nullptr;
  // Prepared once each; the texts are literals of our code, so there are few. Null while in use.
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

// One execution of a prepared statement. `sql` must be a literal, and what is bound must outlive
// the statement.
class Statement {
 public:
  template <typename... Args>
  Statement(Database& database, std::string_view sql, const Args&... args)
      : Statement(database, sql, nullptr) {
    int index = 0;
    (bind(++index, args), ...);
  }
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Goes to the next row, first to the first one. False behind the last.
  bool next();

  // Columns of the row, from 0. Views are valid until next().
  std::int64_t integer(int column) const noexcept;
  std::string_view bytes(int column) const noexcept;
  std::string text(int column) const { return std::string(bytes(column)); }
  bool is_null(int column) const noexcept;

 private:
  Statement(Database& database, std::string_view sql, std::nullptr_t);

  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, Bytes bytes);
  void check_bound(int result) const;

  Database& database_;
  std::string_view sql_;
  sqlite3_stmt* statement_;
};

template <typename... Args>
std::int64_t Database::run(std::string_view sql, const Args&... args) {
  Statement statement(*this, sql, args...);
  while (statement.next()) {
  }
  return changed_count();
}

// Several statements that happen together or not at all: what was not committed is undone by the
// destructor. One inside of another is a part of it: the outer one alone commits, and must not
// where the inner one has not.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void commit();

 private:
  Database& database_;
  bool is_open_;
};

}  // namespace cellar::store
