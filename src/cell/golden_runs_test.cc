#include <doctest/doctest.h>

#include "cell/run.h"
#include "journal/golden.h"
#include "journal/journal.h"
#include "journal/sim_storage.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

// What the journal of runs that version 1 wrote (journal/golden_test.cc) tells before this record.
RunTable golden_runs(journal::Lsn end) {
  const std::string file = std::string(CELLAR_JOURNAL_TESTDATA) + "/journal_v1_runs.txt";
  journal::SimStorage storage;
  storage.put("00000000000000000001.seg", journal::from_golden(sys::read_file(file).value()));
  RunTable runs;
  const journal::Options options = {.cell_id = "acme--user-1"};
  const journal::Journal journal(storage, options, [&](const journal::Record& record) {
    if (record.lsn < end) runs.apply(record);
  });
  return runs;
}

constexpr journal::Lsn kContinued = 19;
constexpr journal::Lsn kEnd = 29;

}  // namespace

TEST_CASE("the runs in a journal that version 1 wrote are what they were") {
  RunTable runs = golden_runs(kEnd);
  CHECK(runs.newest_first().size() == 2);
  CHECK(runs.setup_done());
  const Run& run = *runs.find("run_1_0011223344556677");
  CHECK(runs.find_key("key-1") == &run);
  CHECK(run.number == 1);
  CHECK(run.method == "trip");
  CHECK(run.agent_language == AgentLanguage::python);
  CHECK(run.agent_digest == "sha256-bb");
  CHECK(run.setup == false);
  CHECK(run.status == RunStatus::cancelled);
  CHECK(run.undoes);
  CHECK(run.rollback == 5);
  CHECK(run.attempt == 3);
  CHECK(run.generation == 2);
  CHECK(run.base == 3);
  CHECK(run.continued == kContinued);
  CHECK(run.ended == 24);
  CHECK(run.events.empty());  // It is taken.
  CHECK(run.event_ids.contains("e-1"));
  CHECK(run.open.empty());
  REQUIRE(run.steps.size() == 2);
  CHECK(run.steps.at(4).kind == "db.get");
  CHECK(run.steps.at(4).outcome == 21);
  CHECK(run.past.size() == 1);
  const Run& again = *runs.find("run_2_0011223344556677");
  CHECK(again.forked.run_id == run.id);
  CHECK(again.agent_language == AgentLanguage::javascript);
  CHECK(again.status == RunStatus::running);
}

TEST_CASE("a step in a journal that version 1 wrote is what it was") {
  RunTable runs = golden_runs(kContinued);
  const Run& run = *runs.find(1);
  CHECK(run.status == RunStatus::running);
  const Step& book = run.steps.at(1);
  CHECK(book.kind == "step");
  CHECK(book.name == "book");
  CHECK(book.policy == "ask");
  CHECK(book.sensitive);
  CHECK(book.sealed);
  CHECK(book.codec == "typed");
  CHECK(book.status == StepStatus::ok);
  CHECK(book.executed == 2);
  CHECK(book.executions_explained == 1);
  CHECK(book.failed_attempts == 1);
  CHECK(book.said_turn == 2);
  CHECK(book.outcome == 13);
  CHECK(run.steps.at(2).status == StepStatus::ok);
}

}  // namespace cellar::cell
