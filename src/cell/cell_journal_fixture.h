#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "async/test_run.h"
#include "cell/cell_journal.h"

// A small language for tests of a cell's journal.
namespace cellar::cell {

// Opens the journal in `dir`, lets `test` use it, and closes it.
using Test = std::function<asio::awaitable<void>(CellJournal&, RunTable&)>;
inline void with_journal(const std::string& dir, const Test& test) {
  asio::io_context loop;
  async::Pool pool(2);
  RunTable runs;
  CellJournal journal(loop.get_executor(), pool, pool, dir, "dev--a", runs);
  auto drive = [&]() -> asio::awaitable<void> {
    std::exception_ptr failed;
    try {
      co_await test(journal, runs);
    } catch (...) {
      failed = std::current_exception();
    }
    co_await journal.close();
    if (failed) std::rethrow_exception(failed);
  };
  async::run_on(loop, drive());
}

inline void begin(CellJournal& journal, const std::string& id) {
  journal::RunCreated created;
  created.run_id = id;
  created.method = "m";
  created.params = "{}";
  created.agent_digest = "d";
  journal.append(1, 0, created);
  journal::RunAttempt attempt;
  attempt.n = 1;
  attempt.cause = "start";
  journal.append(1, 0, attempt);
}

inline void attempt_again(CellJournal& journal, std::uint32_t n, const std::string& cause) {
  journal::RunAttempt attempt;
  attempt.n = n;
  attempt.cause = cause;
  journal.append(1, 0, attempt);
}

}  // namespace cellar::cell
