#include "cli/event_line.h"

#include <doctest/doctest.h>

namespace cellar::cli {
namespace {

std::string words(const std::string& type, const std::string& data) {
  const std::string line =
      format_event({.id = "7", .type = type, .data = R"({"data":)" + data + "}"});
  const std::string before = "7\t\t" + type + "\t";
  REQUIRE(line.starts_with(before));
  return line.substr(before.size(), line.size() - before.size() - 1);
}

}  // namespace

TEST_CASE("what happens to files is told in words") {
  CHECK(words("files.changed", R"({"changes":[{"kind":"created","path":"a","type":"file"},)"
                               R"({"kind":"renamed","path":"c","type":"directory","from":"b"}],)"
                               R"("more":true,"folders":["node_modules"]})") ==
        "created a, renamed b to c, more in node_modules");
  CHECK(words("files.changed", R"({"changes":[],"reset":true,"reason":"overflow"})") ==
        "list them again: overflow");
  CHECK(words("files.changed", R"({"changes":[],"reset":true,"reason":"watch_limit",)"
                               R"("watching":false,"message":"too many"})") ==
        "list them again: watch_limit: too many");
}

TEST_CASE("an error is told with its name where that says something, a difference in words") {
  CHECK(words("run.failed", R"({"error":{"name":"KeyError","message":"'z'"}})") == "KeyError: 'z'");
  CHECK(words("run.paused", R"({"reason":"replay_mismatch","detail":{
      "message":"the journal holds now","expected":{"k":"now","n":""}}})") ==
        "replay_mismatch: the journal holds now");
}

TEST_CASE("what happens in a run is told in words") {
  struct Case {
    const char* type;
    const char* data;
    const char* words;
  };
  for (const Case& c : std::vector<Case>{
           {"run.started", R"({"run":"r","method":"m"})", "m"},
           {"run.attempt", R"({"attempt":2,"cause":"agent_exit"})", "2: agent_exit"},
           {"run.paused", R"({"reason":"user"})", "user"},
           {"run.paused", R"({"reason":"crash_loop","detail":{"message":"m"}})", "crash_loop: m"},
           {"run.resumed", "{}", ""},
           {"run.completed", R"({"result":{"a":"b"}})", "{\"a\":\"b\"}"},
           {"run.failed", R"({"error":{"message":"m","stack":"s"}})", "m"},
           {"run.failed", R"({"error":"m"})", "m"},
           {"run.failed", R"({"error":{"name":"Error","message":""}})", "Error"},
           {"run.failed",
            R"({"error":{"message":"m","stack":"Error: m\n  at /data/versions/6f.js:3:14"}})",
            "m (agent.js:3:14)"},
           {"run.failed",
            R"({"error":{"message":"agent.js:3: m","stack":"/data/versions/6f.js:3\n\nm"}})",
            "agent.js:3: m"},
           {"network.refused",
            R"({"domain":"shell","host":"a.b","port":53,"reason":"denied","remediation":"Do x"})",
            "shell, a.b:53: denied. Do x"},
           {"process.started", R"({"id":"p3","command":"npm test","pid":8})", "p3: npm test"},
           {"process.exited",
            R"({"id":"p3","command":"npm test","exit_code":137,"lost_by":"hibernated"})",
            "p3: exit code 137, lost by hibernated: npm test"},
           {"run.cancelled", R"({"error":{"message":"cancelled"}})", "cancelled"},
           {"run.rollback", R"({"reason":"failed","error":{"message":"no seat"}})",
            "failed: no seat"},
           {"step.started", R"({"ordinal":2,"name":"s","kind":"step","execution":1})", "2 s"},
           {"step.started", R"({"ordinal":2,"name":"ls","kind":"shell"})", "2 ls (shell)"},
           {"step.started", R"({"ordinal":2,"name":"","kind":"sleep"})", "2 (sleep)"},
           {"reset", R"({"ordinal":2,"name":"s","kind":"step","execution":3})",
            "2 s: again, execution 3"},
           {"step.completed", R"({"ordinal":2,"name":"s","ok":true})", "2 s"},
           {"step.completed", R"({"ordinal":2,"name":"s","ok":false,"error":{"message":"m"}})",
            "2 s: failed: m"},
           {"step.retry",
            R"({"ordinal":2,"name":"s","attempt":1,"error":{"message":"m"},"next_at":0})",
            "2 s: attempt 1 failed: m; the next one at 1970-01-01T00:00:00.000Z"},
           {"step.interrupted", R"({"ordinal":2,"name":"s","execution":1,"cause":"oom"})",
            "2 s: oom"},
           {"step.progress", R"({"ordinal":2,"name":"s","progress":{"job":7}})",
            "2 s: {\"job\":7}"},
           {"stdout", R"({"text":"a\nb\n"})", "a\nb"},
           {"stderr", R"({"b64":"aGk="})", "hi"},
           {"log", R"({"level":"info","message":"m"})", "m"},
           {"log", R"({"level":"warn","message":"m"})", "warn: m"},
           {"cell.paused", R"({"reason":"idle"})", "idle"},
           {"cell.resumed",
            R"({"from":"memory","took_ms":0.5,"processes":{"survived":3,"lost":[]}})",
            "from memory in 0.5 ms, 3 processes"},
           {"cell.resumed",
            R"({"from":"disk","took_ms":9,"processes":{"survived":0,)"
            R"("lost":[{"command":"sleep 1"},{"command":"vi"}]}})",
            "from disk in 9 ms, 0 processes; lost: sleep 1, vi"},
           {"stale", R"({"after":7})", "what followed 7 is not kept any more"},
           {"stream", R"({"n":1})", "{\"n\":1}"},
           {"stream", R"("text")", "\"text\""},
           {"stream", "null", ""},
           {"of.a.later.daemon", R"({"n":1})", "{\"n\":1}"}}) {
    CAPTURE(c.type);
    CAPTURE(c.data);
    CHECK(words(c.type, c.data) == c.words);
  }
}

}  // namespace cellar::cli
