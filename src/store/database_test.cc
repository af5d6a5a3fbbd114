#include "store/database.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "base/error.h"
#include "store/cell_store.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::store {
namespace {

constexpr std::string_view kTableSchema = "CREATE TABLE t (k BLOB PRIMARY KEY, v INTEGER) STRICT";

std::int64_t count_rows(Database& database) {
  Statement statement(database, "SELECT count(*) FROM t");
  REQUIRE(statement.next());
  return statement.integer(0);
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("no error");
  return ErrorCode::internal;
}

// Runs `body` in a child and gives its wait status. The child must not return from `body` with an
// exception, and shares no open database with us.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("what was written is there after a reopen, in a file for us alone") {
  testing::TempDir dir;
  {
    Database database(dir.file("a.sqlite"), 1, kTableSchema);
    CHECK(database.run("INSERT INTO t VALUES (?, ?)", Bytes{"k"}, 7) == 1);
    CHECK(database.run("UPDATE t SET v = 8 WHERE k = ?", Bytes{"none"}) == 0);
  }
  struct stat status = {};
  REQUIRE(::stat(dir.file("a.sqlite").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  Database database(dir.file("a.sqlite"), 1, kTableSchema);
  Statement statement(database, "SELECT v, NULL FROM t WHERE k = ?", Bytes{"k"});
  REQUIRE(statement.next());
  CHECK(statement.integer(0) == 7);
  CHECK(statement.is_null(1));
  CHECK(statement.bytes(1).empty());
  CHECK_FALSE(statement.next());
}

TEST_CASE("every commit is synced to a write-ahead log") {
  testing::TempDir dir;
  Database database(dir.file("a.sqlite"), 1, kTableSchema);
  Statement mode(database, "PRAGMA journal_mode");
  REQUIRE(mode.next());
  CHECK(mode.text(0) == "wal");
  Statement level(database, "PRAGMA synchronous");
  REQUIRE(level.next());
  CHECK(level.integer(0) == 2);
}

TEST_CASE("what was not committed is undone") {
  testing::TempDir dir;
  Database database(dir.file("a.sqlite"), 1, kTableSchema);
  {
    Transaction transaction(database);
    database.run("INSERT INTO t VALUES (?, 1)", Bytes{"lost"});
  }
  {
    Transaction transaction(database);
    database.run("INSERT INTO t VALUES (?, 1)", Bytes{"kept"});
    transaction.commit();
  }
  CHECK(count_rows(database) == 1);
  CHECK_THROWS_AS(
      [&] {
        Transaction transaction(database);
        database.run("INSERT INTO t VALUES (?, 1)", Bytes{"lost"});
        database.run("INSERT INTO t VALUES (?, 1)", Bytes{"kept"});
      }(),
      Error);
  CHECK(count_rows(database) == 1);
}

TEST_CASE("a transaction inside of another one is a part of it") {
  testing::TempDir dir;
  Database database(dir.file("a.sqlite"), 1, kTableSchema);
  const auto write = [&] {
    Transaction inner(database);
    database.run("INSERT INTO t VALUES (?, 1)", Bytes{"k"});
    inner.commit();
  };
  {
    Transaction outer(database);
    write();
  }
  CHECK(count_rows(database) == 0);
  {
    Transaction outer(database);
    write();
    outer.commit();
  }
  CHECK(count_rows(database) == 1);
}

TEST_CASE("a copy has what is committed, and is made while somebody writes") {
  testing::TempDir dir;
  Database database(dir.file("a.sqlite"), 1, kTableSchema);
  database.run("INSERT INTO t VALUES (?, 1)", Bytes{"kept"});
  {
    Transaction transaction(database);
    database.run("INSERT INTO t VALUES (?, 1)", Bytes{"later"});
    Database::copy(dir.file("a.sqlite"), dir.file("copy.sqlite"));
    transaction.commit();
  }
  CHECK(count_rows(database) == 2);
  Database copy(dir.file("copy.sqlite"), 1, kTableSchema);
  CHECK(count_rows(copy) == 1);
  CHECK(code_of([&] { Database::copy(dir.file("none"), dir.file("b")); }) == ErrorCode::not_found);
}

TEST_CASE("errors say what they call for") {
  testing::TempDir dir;
  const std::string path = dir.file("a.sqlite");
  const DatabaseOptions small{.bytes_max = 64 << 10, .busy_timeout = std::chrono::milliseconds(1)};
  Database database(path, 1, kTableSchema, small);
  database.run("INSERT INTO t VALUES (?, 1)", Bytes{"k"});

  const auto insert_again = [&] { database.run("INSERT INTO t VALUES (?, 1)", Bytes{"k"}); };
  CHECK(code_of(insert_again) == ErrorCode::already_exists);

  const std::string large(100 << 10, 'x');
  const auto fill = [&] { database.run("INSERT INTO t VALUES (?, 1)", Bytes{large}); };
  CHECK(code_of(fill) == ErrorCode::exhausted);
  CHECK(count_rows(database) == 1);

  Database other(path, 1, kTableSchema, small);
  Transaction transaction(other);
  CHECK(code_of([&] { database.run("DELETE FROM t"); }) == ErrorCode::unavailable);

  CHECK(code_of([&] { Database(path + "/below", 1, kTableSchema); }) != ErrorCode::corrupt);
  CHECK(code_of([&] { Database(dir.file("no/such/folder"), 1, kTableSchema); }) ==
        ErrorCode::not_found);
}

TEST_CASE("a damaged file and one of another format are refused, and left as they are") {
  testing::TempDir dir;
  const std::string noise(8192, '\x5a');
  sys::replace_file(dir.file("noise"), noise);
  CHECK(code_of([&] { Database(dir.file("noise"), 1, kTableSchema); }) == ErrorCode::corrupt);
  CHECK(sys::read_file(dir.file("noise")) == noise);

  {
    Database(dir.file("new"), 2, kTableSchema);
  }
  CHECK(code_of([&] { Database(dir.file("new"), 1, kTableSchema); }) == ErrorCode::corrupt);
  CHECK_NOTHROW(Database(dir.file("new"), 2, kTableSchema));
}

TEST_CASE("a kill in the middle of a transaction loses that transaction and nothing before it") {
  testing::TempDir dir;
  const std::string path = dir.file("a.sqlite");
  // Further into the work each time: before, in, and between transactions.
  for (int writes = 0; writes < 12; ++writes) {
    CAPTURE(writes);
    sys::remove_file(path);
    sys::remove_file(path + "-wal");
    sys::remove_file(path + "-shm");
    const int status = in_child([&] {
      CellStore store(path);
      for (int i = 0; i < writes; ++i) store.key_value.set("k" + std::to_string(i), "1");
      Database database(path, 1, kTableSchema);
      Transaction transaction(database);
      const std::string large(1 << 20, 'x');  // more than a page cache keeps back
      for (int i = 0; i < writes; ++i) {
        database.run("UPDATE key_value SET value = ?", Bytes{large});
      }
      ::kill(::getpid(), SIGKILL);
      return 1;
    });
    REQUIRE(WIFSIGNALED(status));
    CellStore store(path);
    CHECK(store.key_value.keys("", 100).size() == static_cast<std::size_t>(writes));
    for (int i = 0; i < writes; ++i) {
      CHECK(store.key_value.get("k" + std::to_string(i)) == "1");
    }
    store.key_value.set("after", "2");
  }
}

TEST_CASE("a full disk refuses the write, keeps what was there, and works again after cleaning") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: mounting a small tmpfs needs root");
    return;
  }
  testing::TempDir dir;
  // A mount namespace of its own: nothing is left mounted, whatever happens.
  const int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0) return 77;
    if (::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("t", dir.path().c_str(), "tmpfs", 0, "size=1m") != 0) return 77;
    CellStore store(dir.file("cell.sqlite"));
    const std::string value = "\"" + std::string(20'000, 'x') + "\"";
    int stored = 0;
    bool is_full = false;
    while (!is_full && stored < 1000) {
      try {
        store.key_value.set("k" + std::to_string(stored), value);
        ++stored;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::exhausted) throw;
        is_full = true;
      }
    }
    if (!is_full || stored < 5) return 1;
    for (int i = 0; i < stored; ++i) {
      if (store.key_value.get("k" + std::to_string(i)) != value) return 2;
    }
    if (store.key_value.get("k" + std::to_string(stored))) return 3;
    if (::mount("t", dir.path().c_str(), "tmpfs", MS_REMOUNT, "size=8m") != 0) return 4;
    store.key_value.set("after", value);
    CellStore reopened(dir.file("cell.sqlite"));
    return reopened.key_value.keys("", 5000).size() == static_cast<std::size_t>(stored) + 1 ? 0 : 5;
  });
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("skipped: no mount namespace of its own here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace cellar::store
