#include <doctest/doctest.h>

#include <algorithm>

#include "cli/test_call.h"

namespace cellar::cli {
namespace {

std::string run_reply(const std::string& members) {
  return json_reply(200, R"({"id":"r","method":"m",)" + members + "}");
}

}  // namespace

TEST_CASE("runs are listed, and one is shown with its steps") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.target.ends_with("/runs?limit=5")
               ? json_reply(200, R"({"runs":[{"id":"r","method":"m","status":"paused",
                                      "reason":"crash_loop","attempt":5,"steps_done":2}]})")
               : run_reply(R"("status":"running","steps":[{"ordinal":1,"name":"s","kind":"step",
                                "status":"completed","executed":1,"attempts":1}])");
  });
  CHECK(call(daemon.url(), {"runs", "ls", "c", "--limit", "5"}).out ==
        "r\tm\tpaused (crash_loop)\t2\t5\t\t\n");
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/c/runs?limit=5");
  CHECK(call(daemon.url(), {"runs", "get", "c", "r/x"}).out ==
        "id\tr\nmethod\tm\nstatus\trunning\n\n1\ts\tstep\tcompleted\t1\t1\t\n");
  CHECK(daemon.seen().at(1).target == "/api/v1/cells/c/runs/r%2Fx");
}

TEST_CASE(
    "more runs than a page has are listed over several, and it is said that there are older ones") {
  FakeDaemon daemon([](const Seen& seen) {
    const bool is_second = seen.target.find("cursor=n%201") != std::string::npos;
    json::Array page(is_second ? 1 : 1000, json::parse(R"({"id":"r"})"));
    return json_reply(200, json::dump(json::object({{"runs", std::move(page)},
                                                    {"next_cursor", is_second ? "n 2" : "n 1"}})));
  });
  const auto listed = call(daemon.url(), {"runs", "ls", "c", "--limit", "1001"});
  CHECK(std::ranges::count(listed.out, '\n') == 1001);
  CHECK(listed.err.find("--limit") != std::string::npos);
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/c/runs?limit=1000");
  CHECK(daemon.seen().at(1).target == "/api/v1/cells/c/runs?limit=1&cursor=n%201");
}

TEST_CASE("a run is begun with its key, and its id printed") {
  FakeDaemon daemon([](const Seen&) { return run_reply(R"("status":"running","steps":[])"); });
  CHECK(call(daemon.url(), {"runs", "start", "c", "m", "[1]", "--key", "k 1"}).out == "r\n");
  const Seen seen = daemon.seen().at(0);
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/api/v1/cells/c/runs");
  CHECK(seen.headers.at("idempotency-key") == "k 1");
  CHECK(body_of(seen) == json::parse(R"({"method":"m","params":[1]})"));
  CHECK(call(daemon.url(), {"runs", "start", "c", "m", "-"}, "{\"a\":1}").exit_code == 0);
  CHECK(body_of(daemon.seen().at(1)) == json::parse(R"({"method":"m","params":{"a":1}})"));
  CHECK_FALSE(daemon.seen().at(1).headers.contains("idempotency-key"));
  CHECK(call(daemon.url(), {"runs", "start", "c", "m", "-"}, "").exit_code ==
        2);  // What made it failed.
  const Result wrong = call(daemon.url(), {"runs", "start", "c", "m", "{a:1}"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.starts_with("cellar: params must be JSON: "));
  CHECK(daemon.seen().size() == 2);
}

TEST_CASE("what is asked of a run is sent as the daemon takes it") {
  FakeDaemon daemon([](const Seen&) { return run_reply(R"("status":"running","steps":[])"); });
  struct Case {
    std::vector<std::string> words;
    const char* target;
    const char* body;
  };
  const std::vector<Case> cases = {
      {{"pause", "c", "r"}, "pause", ""},
      {{"resume", "c", "r"}, "resume", "{}"},
      {{"resume", "c", "r", "--retry"}, "resume", R"({"step":{"decision":"retry"}})"},
      {{"resume", "c", "r", "--fail"}, "resume", R"({"step":{"decision":"fail"}})"},
      {{"resume", "c", "r", "--value", "[1]"},
       "resume",
       R"({"step":{"decision":"value","value":[1]}})"},
      {{"cancel", "c", "r"}, "cancel", "{}"},
      {{"cancel", "c", "r", "--grace", "0"}, "cancel", R"({"grace_ms":0})"},
      {{"cancel", "c", "r", "--rollback"}, "cancel", R"({"rollback":true})"},
      {{"event", "c", "r", "t"}, "events", R"({"type":"t","payload":null})"},
      {{"event", "c", "r", "t", "{}", "--id", "i"},
       "events",
       R"({"type":"t","payload":{},"id":"i"})"},
      {{"approve", "c", "r"}, "approve", R"({"approved":true})"},
      {{"approve", "c", "r", "--refuse", "--step", "s", "--by", "b", "--comment", ""},
       "approve",
       R"({"approved":false,"step":"s","by":"b","comment":""})"}};
  for (Case c : cases) {
    CAPTURE(c.body);
    c.words.insert(c.words.begin(), "runs");
    const Result result = call(daemon.url(), c.words);
    CHECK(result.exit_code == 0);
    CHECK(result.out.starts_with("id\tr\nmethod\tm\n"));
    const Seen seen = daemon.seen().back();
    CHECK(seen.method == "POST");
    CHECK(seen.target == std::string("/api/v1/cells/c/runs/r/") + c.target);
    CHECK((c.body[0] == '\0' ? seen.body.empty() : body_of(seen) == json::parse(c.body)));
  }
}

TEST_CASE("a run begins again from a step: a number is an ordinal, but where a step is called so") {
  FakeDaemon daemon([](const Seen&) {
    return run_reply(R"("status":"failed","steps":[
        {"ordinal":1,"name":"plan"},{"ordinal":2,"name":"2"},{"ordinal":4,"name":"1"},
        {"ordinal":5,"name":"2026"}])");
  });
  const auto from = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"runs", "restart", "c", "r"});
    return call(daemon.url(), words);
  };
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{}, "{}"},
      {{"--from", "plan"}, R"({"from":"plan"})"},
      {{"--from=-1"}, R"({"from":"-1"})"},
      {{"--from", "2"}, R"({"from":2})"},
      {{"--from", "5"}, R"({"from":5})"},
      {{"--from", "9"}, R"({"from":9})"},
      {{"--from", "2026"}, R"({"from":"2026"})"},
      {{"--key", "k 2"}, "{}"},
      {{"--from-name", "1"}, R"({"from":"1"})"},
      {{"--from-ordinal", "1"}, R"({"from":1})"}};
  for (const auto& [words, body] : cases) {
    CAPTURE(std::string(body));
    const Result begun = from(words);
    CHECK(begun.err.empty());
    CHECK(begun.out == "r\n");
    CHECK(daemon.seen().back().target.ends_with("/runs/r/restart"));
    const bool has_key = daemon.seen().back().headers.contains("idempotency-key");
    CHECK(has_key == (!words.empty() && words[0] == "--key"));
    CHECK(body_of(daemon.seen().back()) == json::parse(body));
  }
  const Result both = from({"--from", "1"});
  CHECK(both.exit_code == 1);
  CHECK(both.err ==
        "cellar: 1 is the ordinal of the step \"plan\", and the name of the step 4\n"
        "        say --from-ordinal 1 or --from-name 1\n");
  CHECK(daemon.seen().back().method == "GET");
  CHECK(from({"--from", "1", "--from-name", "1"}).exit_code == 2);
  CHECK(from({"--from-ordinal", "0"}).exit_code == 2);
}

TEST_CASE("an approval is answered by its name, and said") {
  std::string steps = R"({"name":"a","kind":"approval","status":"completed"},
                         {"name":"b","kind":"approval","status":"waiting"})";
  FakeDaemon daemon(
      [&](const Seen&) { return run_reply(R"("status":"waiting","steps":[)" + steps + "]"); });
  const Result one = call(daemon.url(), {"runs", "approve", "c", "r"});
  CHECK(one.err == "cellar: approved: b\n");
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/c/runs/r");
  CHECK(body_of(daemon.seen().at(1)) == json::parse(R"({"approved":true,"step":"b"})"));
  CHECK(call(daemon.url(), {"runs", "approve", "c", "r", "--refuse"}).err ==
        "cellar: refused: b\n");
  steps += R"(,{"name":"c","kind":"approval","status":"waiting"})";
  call(daemon.url(), {"runs", "approve", "c", "r"});
  CHECK(body_of(daemon.seen().back()) == json::parse(R"({"approved":true})"));
}

TEST_CASE("await prints the result, and fails where there is none") {
  FakeDaemon daemon([](const Seen& seen) {
    const auto is_of = [&](const char* run) { return seen.target.find(run) != seen.target.npos; };
    if (is_of("/text/")) return run_reply(R"("status":"completed","result":"two\nlines")");
    if (is_of("/value/")) return run_reply(R"("status":"completed","result":{"a":1})");
    if (is_of("/failed/")) {
      return run_reply(R"("status":"failed","error":{"message":"it broke","code":"x"})");
    }
    if (is_of("/cancelled/")) return run_reply(R"("status":"cancelled","error":{})");
    if (is_of("/paused/")) return run_reply(R"("status":"paused","reason":"user")");
    return run_reply(R"("status":"running")");
  });
  const auto await = [&](const char* run) {
    return call(daemon.url(), {"runs", "await", "c", run, "--timeout", "0"});
  };
  CHECK(await("text").out == "two\nlines\n");
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/c/runs/text/await?timeout=0");
  CHECK(await("value").out == "{\"a\":1}\n");
  CHECK(await("value").exit_code == 0);
  CHECK(await("failed").err == "cellar: it broke\n");
  CHECK(await("cancelled").err == "cellar: run cancelled was cancelled\n");
  CHECK(await("paused").err ==
        "cellar: run paused is paused (user): its owner paused it\n"
        "        \"cellar runs resume c paused\" lets it go on\n");
  CHECK(await("running").err ==
        "cellar: run running is running still\n        wait longer: --timeout S\n");
  for (const char* run : {"failed", "cancelled", "paused", "running"}) {
    CHECK(await(run).exit_code == 1);
    CHECK(await(run).out.empty());
    const Result as_json =
        call(daemon.url(), {"-o", "json", "runs", "await", "c", run, "--timeout", "0"});
    CHECK(as_json.exit_code == 1);
    CHECK(json::parse(as_json.out).find("id")->as_string() == "r");
  }
}

TEST_CASE("await goes on when the daemon was away, and asks again until the run is settled") {
  int call_count = 0;
  FakeDaemon daemon([&](const Seen&) {
    switch (call_count++) {
      case 0:
        return run_reply(R"("status":"waiting")");
      case 1:
        return json_reply(503, R"({"error":"starting"})");
      default:
        return run_reply(R"("status":"completed","result":1)");
    }
  });
  CHECK(call(daemon.url(), {"runs", "await", "c", "r"}).out == "1\n");
  CHECK(daemon.seen().at(0).target.ends_with("?timeout=0"));
  CHECK(daemon.seen().at(1).target.ends_with("?timeout=30"));
  FakeDaemon starting([](const Seen&) { return json_reply(503, R"({"error":"starting"})"); });
  CHECK(call(starting.url(), {"runs", "await", "c", "r"}).exit_code == 1);
  CHECK(starting.seen().size() == 1);
}

TEST_CASE("the daemon's remedies are told as what to type here") {
  std::string reason;
  FakeDaemon daemon([&](const Seen&) {
    return json_reply(409, R"({"error":"e","remediation":"send {}","code":")" + reason + R"("})");
  });
  for (const auto& [code, part] : std::vector<std::pair<std::string, std::string>>{
           {"run_not_found", "\"cellar runs ls c\" lists"},
           {"crash_loop", "\"cellar runs get c r\" says what to do; \"cellar runs resume c r\""},
           {"decision_needed", "--retry, --fail or --value JSON"},
           {"no_decision_needed", "leave --retry"},
           {"step_needed", "--step"},
           {"idempotency_key_reused", "another --key"},
           {"another", "send {}"}}) {
    reason = code;
    CHECK(call(daemon.url(), {"runs", "pause", "c", "r"}).err.find(part) != std::string::npos);
  }
  reason = "run_not_found";
  CHECK(call(daemon.url(), {"runs", "pause", "a b", "r"}).err.find("ls CELL\"") !=
        std::string::npos);
}

TEST_CASE("an error of a run's own is looked up there, whatever its code is") {
  FakeDaemon daemon([](const Seen&) {
    return "HTTP/1.1 500 X\r\nContent-Type: application/json\r\nX-Cellar-Run: r7\r\n" +
           std::string("Content-Length: 40\r\n\r\n") +
           R"({"error":"mine","code":"run_not_found"} )";
  });
  CHECK(call(daemon.url(), {"request", "c", "m"}).err.find("\"cellar runs get c r7\" says where") !=
        std::string::npos);
}

}  // namespace cellar::cli
