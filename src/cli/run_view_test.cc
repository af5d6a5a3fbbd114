#include "cli/run_view.h"

#include <doctest/doctest.h>

#include "json/json.h"

namespace cellar::cli {
namespace {

const RunRef kRef{.cell_id = "c", .run_id = "r"};

RunTrouble trouble(const std::string& text) { return trouble_of(json::parse(text), kRef); }

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a run that goes on or is completed is in no trouble") {
  for (const char* status : {"running", "completed"}) {
    const RunTrouble none = trouble(R"({"status":")" + std::string(status) + R"("})");
    CHECK(none.why.empty());
    CHECK(none.remedy.empty());
  }
}

TEST_CASE("each reason of a pause is told in words, with the command that mends it") {
  struct Case {
    const char* run;
    const char* why;
    const char* remedy;
  };
  for (const Case& c : std::vector<Case>{
           {R"({"status":"paused","reason":"user"})", "its owner paused it",
            "\"cellar runs resume c r\" lets it go on"},
           {R"({"status":"paused","reason":"ambiguous_step","detail":{"message":"m","name":"s"}})",
            "m",
            "look whether it was done, then \"cellar runs resume c r\" with --retry, --fail or "
            "--value JSON"},
           {R"({"status":"paused","reason":"ambiguous_step",
                "detail":{"message":"m","ordinal":7,"name":"s","executed":2}})",
            "m",
            "look whether it was done, then \"cellar runs resume c r --step 7 --executed 2\" with "
            "--retry, --fail or --value JSON"},
           {R"({"status":"paused","reason":"crash_loop","detail":{"message":"m"}})", "m",
            "\"cellar runs log c r\" tells what it did, \"cellar request c logs\" what it printed; "
            "\"cellar runs resume c r\" lets it try again, and with --upgrade on the agent that "
            "was deployed since"},
           {R"({"status":"paused","reason":"agent_host_missing",
                "detail":{"message":"m","remediation":"do x"}})",
            "m", "do x; \"cellar runs resume c r\" lets it go on"},
           {R"({"status":"paused","reason":"replay_too_large","detail":{"message":"m"}})", "m",
            "start cellard with a larger --run-replay-bytes-max, then \"cellar runs resume c r\""},
           {R"({"status":"paused","reason":"of a later daemon","detail":{"x":1}})", "{\"x\":1}",
            "\"cellar runs resume c r\" lets it go on"}}) {
    CAPTURE(c.run);
    CHECK(trouble(c.run).why == c.why);
    CHECK(trouble(c.run).remedy == c.remedy);
  }
}

TEST_CASE("what a paused run waits for is told, and how to give it") {
  const RunTrouble both = trouble(R"({"status":"paused","reason":"user","steps":[
      {"kind":"approval","name":"go on?","status":"waiting","prompt":"P"}]})");
  CHECK(both.why == "its owner paused it; it waits for an approval \"go on?\": P");
  CHECK(has(both.remedy, "\"cellar runs resume c r\" lets it go on; \"cellar runs approve c r\""));
}

TEST_CASE("what a run stands still for is told") {
  CHECK(trouble(R"({"status":"running","reason":"retry","steps":[
      {"kind":"step","name":"a","status":"running","attempts":1},
      {"kind":"step","name":"b","status":"running","attempts":2,"retry_at":"T"},
      {"kind":"shell","name":"c","status":"running","attempts":3,"retry_at":"U"}]})")
            .why ==
        "step \"b\" failed, attempt 2 follows at T; shell \"c\" failed, attempt 3 "
        "follows at U");
  CHECK(trouble(R"({"status":"running","reason":"no_capacity"})").why ==
        "the machine has no room to wake its cell");
  CHECK(trouble(R"({"status":"running","reason":"of a later daemon"})").why.empty());
}

TEST_CASE("a run is told with its version, where it comes from and what was printed last") {
  const std::string text =
      format_run(json::parse(R"({"id":"r","method":"m","status":"paused","reason":"crash_loop",
        "detail":{"message":"m","output":["a","about to die"]},
        "kept_events":[{"type":"merged","count":1},{"type":"typo","count":2}],
        "generation":2,"llm_tokens":7,
        "restarted_from":"r0","parent":"r1","agent_digest":"0123456789abcdef"})"),
                 kRef, Look::plain);
  for (const char* line :
       {"kept_events\tmerged, typo (2)\n", "printed\tabout to die\n", "generation\t2\n",
        "llm_tokens\t7\n", "restarted_from\tr0\n", "parent\tr1\n", "agent\t0123456789ab\n"}) {
    CHECK_MESSAGE(has(text, line), line);
  }
}

TEST_CASE("what was rolled back is told, and what was not") {
  CHECK(
      trouble(R"({"status":"failed","error":{"message":"m","rollback":{"done":["b","a"]}}})").why ==
      "m; rolled back: b, a");
  CHECK(trouble(R"({"status":"failed","error":{"message":"m","rollback":{"done":[],"not_run":["a"],
                "failed":{"name":"b","error":{"message":"gone"}}}}})")
            .why == "m; the rollback of b failed: gone; not rolled back: a");
}

TEST_CASE("a run that has failed is told where it goes on, once it is repaired") {
  const auto remedy = [](const std::string& more) {
    return trouble(R"({"status":"failed","error":{"message":"m")" + more + "}").remedy;
  };
  CHECK(
      remedy(R"(},"steps":[{"kind":"step","ordinal":2,"name":"a","status":"failed"},
      {"kind":"shell","ordinal":4,"name":"ls","status":"failed"},
      {"kind":"step","ordinal":5,"name":"b","status":"completed"}])") ==
      "repair its code and deploy it, then \"cellar runs restart c r --from-ordinal 4 --upgrade\" "
      "goes on from shell \"ls\"");
  CHECK(has(remedy(R"(},"steps":[{"kind":"step","ordinal":2,"name":"a","status":"completed"}])"),
            "restart c r --from-end --upgrade\" goes on behind all that is recorded"));
  const std::string undone = R"(,"rollback":{"done":["a"]}},"steps":[
      {"kind":"step","ordinal":2,"name":"a","status":"completed"}])";
  for (const std::string& whole : {std::string("}"), undone}) {
    CHECK(has(remedy(whole), "restart c r --upgrade\" goes on from the beginning"));
  }
  CHECK(trouble(R"({"status":"cancelled","error":{"message":"m"}})").remedy.empty());
}

TEST_CASE("what helps against a replay that differs depends on how it does") {
  const auto remedy = [](const char* detail) { return replay_remedy(json::parse(detail)); };
  const std::string marks =
      "mark what is new with ctx.getVersion, and what is gone with ctx.removed";
  CHECK(remedy(R"({"expected":{"k":"step","n":"a"},"got":{"k":"step","n":"b"}})") == marks);
  CHECK(remedy(R"({"expected":{"k":"step","n":"a"},"got":{"k":"nothing","n":"the code waits"}})") ==
        "look at what its code waits for outside of steps");
  CHECK(remedy(R"({"name":"Error","message":"m","code":"agent_load_failed"})") ==
        "repair the file");
  CHECK(remedy(R"({"name":"TypeError","message":"m"})").empty());
}

TEST_CASE("an error whose message alone says little is told with its name") {
  CHECK(trouble(R"({"status":"failed","error":{"name":"KeyError","message":"'zz'"}})").why ==
        "KeyError: 'zz'");
  CHECK(trouble(R"({"status":"failed","error":{"name":"Error","message":"no"}})").why == "no");
  CHECK(trouble(R"({"status":"failed","error":{"name":"AssertionError","message":""}})").why ==
        "AssertionError");
}

TEST_CASE("what a run waits for is told, and how to give it") {
  const auto waiting = [](const std::string& steps) {
    return trouble(R"({"status":"waiting","reason":"event","steps":[)" + steps + "]}");
  };
  const RunTrouble event = waiting(
      R"({"kind":"step","status":"completed"},
         {"kind":"wait","status":"waiting","type":"merged","match":{"pr":7},"until":"T"})");
  CHECK(event.why == "for an event \"merged\" with {\"pr\":7}, until T");
  CHECK(has(event.remedy, R"("cellar runs event c r merged '{"pr":7}'")"));
  CHECK(has(waiting(R"({"kind":"wait","status":"waiting","type":"it's"})").remedy,
            R"("cellar runs event c r 'it'\''s'")"));
  CHECK(waiting(R"({"kind":"sleep","status":"waiting","until":"T"})").why == "until T");
  CHECK(waiting(R"({"kind":"child","status":"waiting","run":"r2"})").why == "for the run r2");
  const std::string asked =
      R"({"kind":"approval","status":"waiting","name":"a","prompt":"Go?","data":[1]})";
  const RunTrouble one = waiting(asked);
  CHECK(one.why == "for an approval \"a\": Go? [1]");
  CHECK(one.remedy == "\"cellar runs approve c r\" approves, with --refuse it refuses");
  const RunTrouble two = waiting(asked + "," + asked);
  CHECK(has(two.why, "; for an approval"));
  CHECK(has(two.remedy, "--step"));
}

TEST_CASE("a run is shown a member a line, with its steps and how long they took") {
  const json::Value run = json::parse(R"({
    "id":"r","method":"m","status":"failed","attempt":2,"started_at":"S","steps_done":1,
    "params":{"a":1},"error":{"name":"Error","message":"it broke",
    "stack":"Error: it broke\n    at /data/versions/6f.js:1:2"},"steps":[
      {"ordinal":1,"name":"one","kind":"step","status":"completed","executed":2,"attempts":1,
       "started_at":"2026-02-28T23:59:59.500Z","ended_at":"2026-03-01T00:00:00.250Z"},
      {"ordinal":3,"name":"two","kind":"shell","status":"running","executed":1,"attempts":3,
       "started_at":"2026-03-01T00:00:00.000Z"},
      {"ordinal":4,"name":"","kind":"sleep","status":"waiting","executed":1,"attempts":1,
       "started_at":"soon"}]})");
  CHECK(format_run(run, kRef, Look::plain) ==
        "id\tr\nmethod\tm\nstatus\tfailed\nwhy\tit broke\nwhere\tagent.js:1:2\nremedy\trepair its "
        "code "
        "and deploy it, then \"cellar runs restart c r --from-end --upgrade\" goes on behind all "
        "that is "
        "recorded\nattempt\t2\nsteps_done\t1\nstarted_at\tS\nparams\t{\"a\":1}\n");
  constexpr std::int64_t kMarch = 1'772'323'200'000;  // 2026-03-01
  const auto steps = [&](std::int64_t ms) {
    return format_steps(run, from_unix_ms(kMarch + ms), Look::plain);
  };
  CHECK(steps(61'500) ==
        "1\tone\tstep\tcompleted\t2\t1\t750ms\n3\ttwo\tshell\trunning\t1\t3\t1m 1s so far\n"
        "4\t\tsleep\twaiting\t1\t1\t\n");
  CHECK(has(steps(-5), "\t0ms so far\n"));  // Its clock is not ours.
  CHECK(has(steps(12'345), "\t12.3s so far\n"));
  CHECK(has(steps(3'600'000 * 5), "\t5h 0m so far\n"));
  CHECK(has(steps(86'400'000LL * 3), "\t3d 0h so far\n"));
  const json::Value left = json::parse(R"({"status":"paused","steps":[{"ordinal":1,"name":"a",
      "kind":"step","status":"interrupted","executed":1,"attempts":1,
      "started_at":"2026-03-01T00:00:00.000Z"}]})");
  CHECK(format_steps(left, from_unix_ms(kMarch + 5000), Look::plain) ==
        "1\ta\tstep\tinterrupted\t1\t1\t\n");
  const json::Value named = json::parse(R"({"status":"running","steps":[{"ordinal":1,"name":")" +
                                        std::string(300, 'x') + R"("}]})");
  CHECK(has(format_steps(named, from_unix_ms(kMarch), Look::terminal),
            "  " + std::string(48, 'x') + "…  "));
  CHECK(has(format_steps(named, from_unix_ms(kMarch), Look::plain), std::string(300, 'x')));
  json::Value over = run;
  over.as_object().set("ended_at", "2026-03-01T00:00:02.000Z");
  CHECK(has(format_steps(over, from_unix_ms(kMarch + 61'500), Look::plain), "\t3\t2.0s\n"));
}

}  // namespace cellar::cli
