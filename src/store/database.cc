#include "store/database.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>
#include <filesystem>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "sys/file.h"

namespace cellar::store {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

ErrorCode code_of(int result, int system_errno) noexcept {
  switch (result & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorCode::exhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::corrupt;
    case SQLITE_TOOBIG:
      return ErrorCode::too_large;
    case SQLITE_CONSTRAINT:
      return result == SQLITE_CONSTRAINT_UNIQUE || result == SQLITE_CONSTRAINT_PRIMARYKEY
                 ? ErrorCode::already_exists
                 : ErrorCode::internal;
    case SQLITE_IOERR:
      return system_errno == ENOSPC || system_errno == EDQUOT ? ErrorCode::exhausted
                                                              : ErrorCode::internal;
    case SQLITE_CANTOPEN:
      return system_errno == 0 ? ErrorCode::internal : code_of_errno(system_errno);
    default:
      return ErrorCode::internal;
  }
}

// The file, empty, with the mode that SQLite copies to its -wal and -shm, and its entry durable.
// Only where there is none: closing a descriptor of ours on a file that SQLite has open in this
// process would drop its locks (POSIX).
void create_if_missing(const std::string& path) {
  if (sys::exists(path)) return;
  sys::open_file(path, O_CREAT | O_RDWR, 0600);
  sys::sync_dir(std::filesystem::path(path).parent_path().string());
}

}  // namespace

Database::Database(const std::string& path, int version, std::string_view schema,
                   const DatabaseOptions& options)
    : path_(path) {
  create_if_missing(path_);
  try {
    open(SQLITE_OPEN_READWRITE, options.busy_timeout);
    set_up(options.bytes_max);
    apply_schema(version, schema);
  } catch (...) {  // The destructor of what was not constructed does not run.
    close();
    throw;
  }
}

Database::Database(const std::string& path, ReadOnly) : path_(path) {
  try {
    open(SQLITE_OPEN_READONLY, DatabaseOptions().busy_timeout);
  } catch (...) {
    close();
    throw;
  }
}

Database::~Database() { close(); }

void Database::open(int flags, std::chrono::milliseconds busy_timeout) {
  flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(path_.c_str(), &connection_, flags, nullptr);
  if (result != SQLITE_OK) fail(result, "open");
  sqlite3_busy_timeout(connection_, static_cast<int>(busy_timeout.count()));
}

void Database::set_up(std::uint64_t bytes_max) {
  run_script(
      "PRAGMA journal_mode=WAL;"
      "PRAGMA synchronous=FULL;"
      "PRAGMA foreign_keys=ON;"
      "PRAGMA trusted_schema=OFF;"
      "PRAGMA temp_store=MEMORY;"
      "PRAGMA journal_size_limit=4194304;"
      "PRAGMA max_page_count=" +
      std::to_string(bytes_max / kPageBytes));
}

void Database::apply_schema(int version, std::string_view schema) {
  Transaction transaction(*this);
  std::int64_t found = 0;
  {
    Statement statement(*this, "PRAGMA user_version");
    if (statement.next()) found = statement.integer(0);
  }
  if (found == version) return;
  if (found != 0) {
    throw Error(ErrorCode::corrupt, "other_format",
                path_ + " has format " + std::to_string(found) + ", this program knows " +
                    std::to_string(version),
                "use the version of Cellar that wrote it");
  }
  run_script(std::string(schema) + ";PRAGMA user_version=" + std::to_string(version));
  transaction.commit();
}

void Database::close() noexcept {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
  if (connection_ != nullptr && sqlite3_close(connection_) != SQLITE_OK) {
    log::error("closing {}: {}", path_, sqlite3_errmsg(connection_));
  }
  connection_ = nullptr;
}

void Database::copy(const std::string& from, std::string_view to) {
  Database(from, ReadOnly()).run("VACUUM INTO ?", to);
}

void Database::run_script(const std::string& sql) {
  const int result = sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail(result, "set up");
}

std::int64_t Database::changed_count() const noexcept { return sqlite3_changes64(connection_); }

sqlite3_stmt* Database::take(std::string_view sql) {
  const auto cached = statements_.find(sql);
  if (cached != statements_.end()) {
    CELLAR_CHECK(cached->second != nullptr);  // it is in use: the same query in its own loop
    return std::exchange(cached->second, nullptr);
  }
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) fail(result, sql);
  statements_.emplace(std::string(sql), nullptr);
  return statement;
}

void Database::give_back(std::string_view sql, sqlite3_stmt* statement) noexcept {
  sqlite3_reset(statement);  // Its result repeats what next() has thrown already.
  sqlite3_clear_bindings(statement);
  statements_.find(sql)->second = statement;
}

void Database::fail(int result, std::string_view what) const {
  const bool has_text = connection_ != nullptr && sqlite3_errcode(connection_) != SQLITE_OK;
  const char* text = has_text ? sqlite3_errmsg(connection_) : sqlite3_errstr(result);
  const int system_errno = connection_ == nullptr ? 0 : sqlite3_system_errno(connection_);
  throw Error(code_of(result, system_errno),
              path_ + ": " + std::string(what) + ": " + text + " (" + std::to_string(result) + ")");
}

Statement::Statement(Database& database, std::string_view sql, std::nullptr_t)
    : database_(database), sql_(sql), statement_(database.take(sql)) {}

Statement::~Statement() { database_.give_back(sql_, statement_); }

void Statement::check_bound(int result) const {
  if (result != SQLITE_OK) database_.fail(result, sql_);
}

void Statement::bind(int index, std::int64_t value) {
  check_bound(sqlite3_bind_int64(statement_, index, value));
}

// An empty view may hold a null pointer, which SQLite would take for NULL.
void Statement::bind(int index, std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();
  check_bound(
      sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind(int index, Bytes bytes) {
  const char* data = bytes.view.data() == nullptr ? "" : bytes.view.data();
  check_bound(sqlite3_bind_blob64(statement_, index, data, bytes.view.size(), SQLITE_STATIC));
}

bool Statement::next() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) database_.fail(result, sql_);
  return false;
}

std::int64_t Statement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::bytes(int column) const noexcept {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<std::size_t>(size)};
}

bool Statement::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

// IMMEDIATE takes the write lock now, where waiting for it is possible; later it is not.
Transaction::Transaction(Database& database)
    : database_(database), is_open_(sqlite3_get_autocommit(database.connection_) != 0) {
  if (is_open_) database_.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  // After some errors, a full disk for one, SQLite has rolled back by itself.
  if (!is_open_ || sqlite3_get_autocommit(database_.connection_) != 0) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error& error) {  // Nothing is lost: what was not committed is gone at the reopen.
    log::error("{}", error.what());
  }
}

void Transaction::commit() {
  if (!is_open_) return;
  database_.run("COMMIT");
  is_open_ = false;
}

}  // namespace cellar::store
