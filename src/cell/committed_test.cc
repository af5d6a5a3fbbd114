#include "cell/committed.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "cell/run_event.h"

namespace cellar::cell {
namespace {

// A journal in memory with one run.
class History {
 public:
  History() { add(0, journal::RunCreated{.run_id = "run_1_x", .method = "m", .params = "{}"}); }

  template <typename Body>
  journal::Lsn add(std::uint32_t ordinal, const Body& body) {
    journal::Record record;
    record.lsn = records_.size() + 1;
    record.run = 1;
    record.ordinal = ordinal;
    record.type = Body::kType;
    record.body = body.encode();
    runs_.apply(record);
    records_.push_back(record);
    return record.lsn;
  }

  journal::Lsn start(std::uint32_t ordinal, const std::string& kind = "step") {
    journal::StepStart start;
    start.kind = kind;
    start.occ = 1;
    return add(ordinal, start);
  }
  // Inside of the step with this ordinal.
  journal::Lsn say(std::uint32_t step, std::uint32_t turn, const std::string& data) {
    return add(0, journal::Event{.type = "stream", .data = data, .step = step, .turn = turn});
  }
  journal::Lsn print(std::uint32_t ordinal, const std::string& data) {
    return add(ordinal, journal::Event{.type = "stdout", .data = data});
  }
  journal::Lsn end(std::uint32_t ordinal) { return add(ordinal, journal::StepEnd{.ok = true}); }
  journal::Lsn fail(std::uint32_t ordinal, std::uint32_t attempt) {
    return add(ordinal, journal::StepAttemptFailed{.attempt = attempt, .error = "{}"});
  }
  journal::Lsn begin_attempt(std::uint32_t n) {
    return add(0, journal::RunAttempt{.n = n, .cause = "agent_exit"});
  }

  // What is told of it so far, where all is on disk up to `durable`; 0: all.
  std::vector<journal::Lsn> told(journal::Lsn durable = 0) {
    if (durable == 0) durable = records_.size();
    std::vector<journal::Lsn> list;
    for (const journal::Record& record : records_) {
      if (record.lsn > durable) break;
      const Fate fate = fate_of(record, run(), durable);
      if (fate == Fate::undecided) break;
      if (fate == Fate::shown && event_of(record, run())) list.push_back(record.lsn);
    }
    return list;
  }
  bool tells(journal::Lsn lsn) {
    const auto list = told();
    return std::find(list.begin(), list.end(), lsn) != list.end();
  }

  // What is left after a crash: what was on disk, and nothing that went on.
  void crash(journal::Lsn durable) {
    records_.resize(durable);
    reopen();
  }
  void reopen() {
    runs_ = RunTable();
    for (const journal::Record& record : records_) runs_.apply(record);
    runs_.opened(records_.size());
  }
  journal::Lsn last() const { return records_.size(); }
  const Run& run() { return *runs_.find(1); }

 private:
  std::vector<journal::Record> records_;
  RunTable runs_;
};

using Lsns = std::vector<journal::Lsn>;
const journal::Payload kNull{.bytes = "null", .blob = std::nullopt};

}  // namespace

TEST_CASE("what a step says is told once its end is on disk, and what is behind it no earlier") {
  History history;
  history.start(1);
  CHECK(history.told() == Lsns{1});
  const journal::Lsn said = history.say(1, 1, "1");
  const journal::Lsn of_method = history.add(2, journal::Event{.type = "stream", .data = "2"});
  CHECK(history.told() == Lsns{1});
  const journal::Lsn end = history.end(1);
  CHECK(history.told(end - 1) == Lsns{1});  // It is on its way there.
  CHECK(history.told() == Lsns{1, said, of_method, end});
  CHECK_FALSE(history.tells(history.say(1, 1, "late")));
  CHECK(history.tells(history.add(3, journal::Event{.type = "log", .data = "3"})));
}

TEST_CASE("a step that says nothing holds up nothing, and waits are told as they begin") {
  History history;
  history.start(1, "shell");
  const journal::Lsn wait = history.start(2, "approval");
  const journal::Lsn paused = history.add(0, journal::Paused{.reason = "user"});
  CHECK(history.told() == Lsns{1, wait, paused});
}

TEST_CASE("of several attempts of a step only what the last one says is told") {
  History history;
  history.start(1);
  const journal::Lsn first = history.say(1, 1, "1");
  history.add(1, journal::Progress{.value = "1", .turn = 1});
  history.fail(1, 1);
  const journal::Lsn stray = history.say(1, 1, "of an attempt that took too long");
  const journal::Lsn second = history.say(1, 2, "2");
  const journal::Lsn progress = history.add(1, journal::Progress{.value = "2", .turn = 2});
  const journal::Lsn end = history.end(1);
  CHECK(history.told() == Lsns{1, second, progress, end});
  CHECK_FALSE(history.tells(first));
  CHECK_FALSE(history.tells(stray));
  // The record of an attempt that failed is left out where the disk is full.
  history.start(2);
  const journal::Lsn unrecorded = history.say(2, 1, "1");
  const journal::Lsn last = history.say(2, 2, "2");
  history.end(2);
  CHECK_FALSE(history.tells(unrecorded));
  CHECK(history.tells(last));
}

TEST_CASE("what an interrupted step said is gone, and holds up nothing any more") {
  History history;
  history.start(1, "shell");
  const journal::Lsn first = history.print(1, "1");
  SUBCASE("its agent ended") { history.begin_attempt(2); }
  SUBCASE("its run is paused, and what it still prints comes later") {
    const journal::Lsn paused = history.add(0, journal::Paused{.reason = "user"});
    history.print(1, "2");
    CHECK(history.tells(paused));
    history.add(0, journal::Resumed());
    history.begin_attempt(2);
  }
  SUBCASE("the daemon ended") { history.reopen(); }
  SUBCASE("somebody decides") {
    history.add(1, journal::StepInterrupted{.attempt = 1, .cause = "decided"});
  }
  history.start(1, "shell");
  const journal::Lsn second = history.print(1, "2");
  const journal::Lsn end = history.end(1);
  CHECK_FALSE(history.tells(first));
  CHECK(history.tells(second));
  CHECK(history.tells(end));
}

TEST_CASE("a step that was open when its run ended, or rolled back, said nothing") {
  History history;
  history.start(1);
  const journal::Lsn said = history.say(1, 1, "1");
  SUBCASE("ended") { history.add(0, journal::RunEnded{.status = "cancelled", .value = kNull}); }
  SUBCASE("rolled back") {
    history.add(2,
                journal::Value{.kind = std::string(kRollback), .name = "failed", .value = kNull});
    CHECK_FALSE(history.tells(history.end(1)));  // An end that comes behind is left out.
  }
  SUBCASE("continued") { history.add(2, journal::Continued()); }
  const journal::Lsn last = history.last();
  CHECK_FALSE(history.tells(said));
  CHECK(history.told(last).size() >= 1);
  CHECK(history.tells(history.add(3, journal::Event{.type = "log", .data = "3"})));
}

TEST_CASE("what was told stays told when the run goes on with an empty history") {
  History history;
  history.start(1);
  const journal::Lsn thrown = history.say(1, 1, "1");
  history.fail(1, 1);
  const journal::Lsn kept = history.say(1, 2, "2");
  const journal::Lsn end = history.end(1);
  history.add(2, journal::Continued());
  CHECK(history.told() == Lsns{1, kept, end});
  CHECK_FALSE(history.tells(thrown));
}

TEST_CASE("a call of a model goes on while its run is paused, and what it used is told at once") {
  History history;
  history.start(1, "llm");
  const journal::Lsn used = history.add(
      1, journal::Event{.type = std::string(kLlmUsage), .data = R"({"input_tokens":1})"});
  CHECK(history.tells(used));
  const journal::Lsn text =
      history.add(1, journal::Event{.type = std::string(kLlmDelta), .data = "{}", .turn = 1});
  const journal::Lsn paused = history.add(0, journal::Paused{.reason = "user"});
  CHECK_FALSE(history.tells(paused));
  SUBCASE("to its end") {
    const journal::Lsn end = history.end(1);
    CHECK(history.told() == Lsns{1, used, text, paused, end});
  }
  SUBCASE("but not when the daemon ends") {
    history.reopen();
    CHECK(history.told() == Lsns{1, used, paused});
  }
}

namespace {

// What must be told once this record is on disk, beside itself.
using Expected = std::map<journal::Lsn, std::set<journal::Lsn>>;

// Does something of a run with three branches of steps; notes what must be told at the end.
class Dice {
 public:
  explicit Dice(std::uint32_t seed) : random_(seed) {}

  void throw_once(History& history, Expected& expected) {
    Branch& branch = branches_.at(random_() % branches_.size());
    const std::uint32_t what = random_() % 20;
    if (what == 0) {
      expected[history.begin_attempt(++attempt_)];
      for (Branch& each : branches_) each.is_executed = false;
    } else if (what == 1) {
      expected[history.add(++ordinal_, journal::Event{.type = "log", .data = "0"})];
    } else if (branch.ordinal == 0 || !branch.is_executed) {
      if (branch.ordinal == 0) branch = {.ordinal = ++ordinal_, .turn = 1};
      history.start(branch.ordinal);
      branch.is_executed = true;
      branch.said.clear();
    } else if (what < 12) {
      branch.said.insert(history.say(branch.ordinal, branch.turn, "1"));
    } else if (what < 15) {
      history.fail(branch.ordinal, branch.turn++);
      branch.said.clear();
    } else {
      expected[history.end(branch.ordinal)] = branch.said;
      branch = {};
    }
  }
  // After a crash nothing is executed; what was not on disk never was.
  void forget(const std::set<std::uint32_t>& open) {
    for (Branch& each : branches_) {
      each.is_executed = false;
      each.said.clear();
      if (!open.contains(each.ordinal)) each = {};
    }
  }
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

 private:
  struct Branch {
    std::uint32_t ordinal = 0;
    std::uint32_t turn = 0;
    bool is_executed = false;
    std::set<journal::Lsn> said;
  };
  std::mt19937 random_;
  std::vector<Branch> branches_ = std::vector<Branch>(3);
  std::uint32_t ordinal_ = 0;
  std::uint32_t attempt_ = 1;
};

}  // namespace

TEST_CASE(
    "what is told is only ever added to, in order, whatever crashes, and is all that counts") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    History history;
    Expected expected{{1, {}}};
    Lsns before;
    journal::Lsn durable = 1;
    for (int i = 0; i < 120; ++i) {
      dice.throw_once(history, expected);
      if (dice.below(3) != 0) durable += dice.below(1 + history.last() - durable);
      if (dice.below(40) == 0) {
        history.crash(durable);
        expected.erase(expected.upper_bound(durable), expected.end());
        dice.forget(history.run().open);
      }
      const Lsns now = history.told(durable);
      REQUIRE(now.size() >= before.size());
      REQUIRE(std::equal(before.begin(), before.end(), now.begin()));
      before = now;
    }
    history.add(0, journal::RunEnded{.status = "completed", .value = kNull});
    expected[history.last()];
    const Lsns all = history.told();
    std::set<journal::Lsn> wanted;
    for (const auto& [lsn, said] : expected) {
      wanted.insert(lsn);
      wanted.insert(said.begin(), said.end());
    }
    CHECK(Lsns(wanted.begin(), wanted.end()) == all);
  }
}

}  // namespace cellar::cell
