#include <doctest/doctest.h>

#include "cli/commands.h"
#include "cli/test_call.h"
#include "json/json.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cli {

TEST_CASE("create sends what was asked for, and shows the cell") {
  FakeDaemon daemon([](const Seen&) { return json_reply(201, R"({"cell_id":"o--a","n":1})"); });
  testing::TempDir dir;
  sys::replace_file(dir.file("agent.js"), "module.exports = {}");
  const Result result =
      call(daemon.url(), {"create", "a", "--agent", dir.file("agent.js"), "--secret", "K=V",
                          "--allow", "x.org:443", "--permanent", "--idle-timeout", "5",
                          "--max-awake", "6", "--run-retention", "0", "--file-events"});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "cell_id\to--a\nn\t1\n");
  const Seen seen = daemon.seen().at(0);
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/api/v1/cells");
  CHECK(seen.headers.at("authorization") == "Bearer secret");
  CHECK(seen.headers.at("content-type") == "application/json");
  CHECK(body_of(seen) ==
        json::parse(R"({"customer_id":"a","agent":"module.exports = {}","permanent":true,
                        "idle_timeout_s":5,"max_awake_s":6,"run_retention_s":0,"file_events":true,
                        "secrets":{"K":"V"},"allow":["x.org:443"]})"));
  sys::replace_file(dir.file("agent.py"), "");
  CHECK(call(daemon.url(), {"create", "a", "--agent", dir.file("agent.py")}).exit_code == 0);
  CHECK(body_of(daemon.seen().at(1)) ==
        json::parse(R"({"customer_id":"a","agent":"","agent_language":"python"})"));
  CHECK(call(daemon.url(), {"create", "a", "--file-events=maybe"}).exit_code == 2);
  CHECK(call(daemon.url(), {"create", "a", "--no-file-events"}).exit_code == 0);
  CHECK(body_of(daemon.seen().at(2)) == json::parse(R"({"customer_id":"a","file_events":false})"));
  CHECK(call(daemon.url(), {"-o", "json", "create", "a"}).out ==
        "{\"cell_id\":\"o--a\",\"n\":1}\n");
  CHECK(call(daemon.url(), {"create", "a", "--agent", dir.file("none")}).exit_code == 3);
  sys::replace_file(dir.file("latin1.js"), "// caf\xe9\n");
  CHECK(call(daemon.url(), {"create", "a", "--agent", dir.file("latin1.js")}).exit_code == 2);
  sys::replace_file(dir.file("agent.ts"), "x");
  CHECK(call(daemon.url(), {"create", "a", "--agent", dir.file("agent.ts")}).exit_code == 2);
}

TEST_CASE("ls reads all pages") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.target == "/api/v1/cells?limit=1000"
               ? json_reply(200, R"({"cells":[{"cell_id":"a","state":"paused","tier":"t"}],
                                     "next_cursor":"x y"})")
               : json_reply(200, R"({"cells":[{"cell_id":"b","status":"active"}]})");
  });
  CHECK(call(daemon.url(), {"ls"}).out == "a\tpaused\tt\t\t\nb\tactive\t\t\t\n");
  CHECK(daemon.seen().at(1).target == "/api/v1/cells?limit=1000&cursor=x%20y");
}

TEST_CASE("pause and resume send no body and no content type") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, R"({"status":"paused"})"); });
  CHECK(call(daemon.url(), {"pause", "a/b c"}).out == "status\tpaused\n");
  const Seen seen = daemon.seen().at(0);
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/api/v1/cells/a%2Fb%20c/pause");
  CHECK(seen.body.empty());
  CHECK_FALSE(seen.headers.contains("content-type"));
  CHECK(call(daemon.url(), {"resume", "c"}).exit_code == 0);
}

TEST_CASE("resume says what was lost, and steers no terminal by it") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"resume":{"processes":{"lost":[
      {"domain":"shell","pid":7,"command":"npm\u001b test","lost_by":"hibernated"},
      {"domain":"agent","pid":2}]}}})");
  });
  const Result result = call(daemon.url(), {"resume", "c"});
  CHECK(result.exit_code == 0);
  CHECK(result.err ==
        "cellar: lost: npm\xef\xbf\xbd test (shell 7): hibernated\n"
        "cellar: lost:  (agent 2): \n");
  CHECK(call(daemon.url(), {"-o", "json", "resume", "c"}).err.empty());
}

TEST_CASE("a failure is told with its remedy, and by its exit code") {
  struct Case {
    int status;
    int exit_code;
  };
  for (const Case& c :
       std::vector<Case>{{400, 1}, {401, 5}, {404, 3}, {409, 1}, {500, 1}, {503, 1}}) {
    CAPTURE(c.status);
    FakeDaemon daemon([&](const Seen&) {
      return json_reply(c.status,
                        R"({"error":"it \u001b[1mfailed","code":"x","remediation":"do y"})");
    });
    const Result result = call(daemon.url(), {"get", "c"});
    CHECK(result.exit_code == c.exit_code);
    CHECK(result.out.empty());
    const std::string remedy =
        c.status == 401 ? "give your key with --api-key or CELLAR_API_KEY" : "do y";
    CHECK(result.err == "cellar: it \xef\xbf\xbd[1mfailed\n        " + remedy + "\n");
  }
  FakeDaemon refusing([](const Seen&) {
    return json_reply(404, R"({"error":"gone","code":"file_not_found","remediation":"do y"})");
  });
  const Result as_json = call(refusing.url(), {"-o", "json", "get", "c"});
  CHECK(as_json.exit_code == 3);
  CHECK(as_json.out.empty());
  CHECK(as_json.err ==
        "{\"error\":\"gone\",\"code\":\"file_not_found\",\"remediation\":\"do y\"}\n");
  FakeDaemon other([](const Seen&) { return reply(502, "text/html", "<html>"); });
  CHECK(call(other.url(), {"get", "c"}).err == "cellar: the daemon answered with status 502\n");
  std::string url;
  {
    FakeDaemon gone([](const Seen&) { return ""; });
    url = gone.url();
    CHECK(call(url, {"get", "c"}).exit_code == 4);  // it closes without an answer
  }
  const Result result = call(url, {"get", "c"});
  CHECK(result.exit_code == 4);
  CHECK(result.err.find("is cellard running there?") != std::string::npos);
  CHECK(call("gopher://x", {"get", "c"}).exit_code == 2);
  CHECK(call(url, {"--api-key", "a b", "get", "c"}).exit_code == 5);
}

TEST_CASE("exec writes both streams as they are, and ends as the command did") {
  FakeDaemon daemon([](const Seen&) {
    return event_reply(
        ": hi\n\nevent: stdout\ndata: {\"text\":\"a\\n\"}\n\n"
        "event: stderr\ndata: {\"b64\":\"/wA=\"}\n\n"
        "event: exit\ndata: {\"exit_code\":137,\"timed_out\":true}\n\n");
  });
  const Result result =
      call(daemon.url(), {"exec", "c", "--cwd", "/work/x", "--", "ls", "-l"}, "in");
  CHECK(result.exit_code == 137);
  CHECK(result.out == "a\n");
  CHECK(result.err ==
        std::string("\xff\0", 2) +
            "cellar: the command was killed: it ran too long; --timeout gives it more\n");
  const Seen seen = daemon.seen().at(0);
  CHECK(seen.target == "/api/v1/cells/c/exec");
  CHECK(seen.headers.at("accept") == "text/event-stream");
  CHECK(body_of(seen) == json::parse(R"({"cmd":["ls","-l"],"cwd":"/work/x","stdin":"in"})"));
  call(daemon.url(), {"exec", "c", "-n", "--timeout", "2", "--", "ls | wc"}, "in");
  CHECK(body_of(daemon.seen().at(1)) == json::parse(R"({"cmd":"ls | wc","timeout_ms":2000})"));
  CHECK(call(daemon.url(), {"exec", "c", "--", "cat"}, "\xff").exit_code == 1);
}

TEST_CASE("exec fails where the stream ends before the command") {
  FakeDaemon daemon([](const Seen& seen) {
    const std::string events = "event: stdout\ndata: {\"text\":\"a\"}\n\n";
    return seen.target.find("torn") == std::string::npos ? event_reply(events)
                                                         : torn_event_reply(events);
  });
  for (const std::string cell : {"whole", "torn"}) {
    const Result result = call(daemon.url(), {"exec", cell, "--", "x"});
    CHECK(result.exit_code == 4);
    CHECK(result.out == "a");
  }
}

TEST_CASE("exec says an error of its stream as it says one of an answer") {
  const std::string body = R"({"error":"full","code":"disk_full","remediation":"do y")";
  FakeDaemon daemon([&](const Seen& seen) {
    if (seen.target.find("late") == std::string::npos) return json_reply(507, body + "}");
    return event_reply("event: error\ndata: " + body + ",\"status\":507}\n\n");
  });
  const Result late = call(daemon.url(), {"exec", "late", "--", "x"});
  const Result early = call(daemon.url(), {"exec", "early", "--", "x"});
  CHECK(late.exit_code == early.exit_code);
  CHECK(late.err == early.err);
}

TEST_CASE("exec as JSON is one object") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, R"({"stdout":"x","exit_code":3})"); });
  const Result result = call(daemon.url(), {"-o", "json", "exec", "c", "--", "x"});
  CHECK(result.exit_code == 3);
  CHECK(result.out == "{\"stdout\":\"x\",\"exit_code\":3}\n");
}

TEST_CASE("search shows place, score and the first lines") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"results":[{"path":"a.js","start_line":3,"end_line":20,
      "score":1.23456,"symbol":"f","content":"1\n2\n3\n4\n5\n6\n7\n8\n9\n"}]})");
  });
  const Result result = call(daemon.url(), {"search", "c", "q", "--limit", "3"});
  CHECK(result.out ==
        "a.js:3-20\t1.235\tf\n    1\n    2\n    3\n    4\n    5\n    6\n    7\n    8\n    …\n");
  CHECK(body_of(daemon.seen().at(0)) == json::parse(R"({"query":"q","limit":3})"));
}

TEST_CASE("search shows a person colours and the numbers of lines, and a pipe what grep does") {
  const json::Value result = json::parse(R"({"path":"a.js","start_line":3,"end_line":6,"score":2,
    "symbol":"f","content":"\n  one\n\u001btwo\n\n"})");
  CHECK(format_search_result(result, "", Look::terminal) ==
        "\x1b[35ma.js\x1b[0m  2.000  f\n\x1b[32m     4\x1b[0m    one\n"
        "\x1b[32m     5\x1b[0m  \xef\xbf\xbdtwo\n\n");
  CHECK(format_search_result(result, "regex", Look::plain) ==
        "a.js:4:  one\na.js:5:\xef\xbf\xbdtwo\n");
}

TEST_CASE("search asks for what its options say") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.target.ends_with("/symbols")
               ? json_reply(200,
                            R"({"symbols":[{"name":"f","kind":"function","path":"a","line":7}]})")
               : json_reply(200, R"({"results":[]})");
  });
  call(daemon.url(), {"search", "c", "q", "--mode", "regex", "--path", "src/", "--path", "!*.md",
                      "--language", "go", "--per-file", "2"});
  CHECK(body_of(daemon.seen().at(0)) ==
        json::parse(R"({"query":"q","mode":"regex","paths":["src/","!*.md"],"languages":["go"],
                        "chunks_per_file":2})"));
  const Result symbols = call(daemon.url(), {"search", "c", "f", "--symbols"});
  CHECK(symbols.out == "a:7\tfunction\tf\n");
}

TEST_CASE("search says that files are left out") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, R"({"results":[],"left_out":7})"); });
  const Result result = call(daemon.url(), {"search", "c", "q"});
  CHECK(result.exit_code == 0);
  CHECK(result.err ==
        "cellar: 7 files are not searched: the index is full, or patterns of a .gitignore "
        "take too long\n");
}

TEST_CASE("search says that it ended early") {
  FakeDaemon daemon(
      [](const Seen&) { return json_reply(200, R"({"results":[],"truncated_by":"time"})"); });
  const Result result = call(daemon.url(), {"search", "c", "q", "--mode", "regex"});
  CHECK(result.exit_code == 0);
  CHECK(result.err == "cellar: the expression takes too long: not all files were searched\n");
}

TEST_CASE("search says that the index is not whole yet") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"results":[],"symbols":[],"indexing":0.42})");
  });
  for (const char* kind : {"--limit=1", "--symbols"}) {
    const Result result = call(daemon.url(), {"search", "c", "q", kind});
    CHECK(result.exit_code == 0);
    CHECK(result.err == "cellar: the index is being made: 42 % of the files were searched\n");
  }
}

TEST_CASE("events go on behind the last one when the connection breaks") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    switch (connection++) {
      case 0:
        return torn_event_reply(
            "retry: 1\n\nid: 5\nevent: step.started\n"
            "data: {\"seq\":5,\"ts\":\"2026-01-01T10:00:00.123Z\",\"type\":\"step.started\","
            "\"data\":{\"ordinal\":1,\"name\":\"s\"}}\n\nid: 6\nevent: stdout\ndata: {\"se");
      case 1:
        return json_reply(503, R"({"error":"starting"})");
      default:
        return event_reply(
            "id: 6\nevent: stdout\ndata: {\"seq\":6,\"data\":{\"text\":\"x\\n\"}}\n\n"
            "id: 7\nevent: run.completed\ndata: {\"seq\":7,\"data\":{\"result\":1}}\n\n");
    }
  });
  const Result result = call(daemon.url(), {"events", "c", "r", "-f", "--after", "4"});
  CHECK(result.exit_code == 0);
  CHECK(result.out ==
        "5\t2026-01-01T10:00:00.123Z\tstep.started\t1 s\n6\t\tstdout\tx\n7\t\trun.completed\t1\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].target == "/api/v1/cells/c/runs/r/events");
  CHECK(seen[0].headers.at("last-event-id") == "4");
  CHECK(seen[2].headers.at("last-event-id") == "5");
}

TEST_CASE("a cell's events go on behind the end of a run, and say of which run they are") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    if (connection++ > 0) return json_reply(404, R"({"error":"the cell is gone"})");
    return event_reply(
        "retry: 1\n\nid: 3\nevent: run.completed\ndata: {\"run\":\"r\",\"data\":{\"result\":1}}\n\n"
        "id: 4\nevent: cell.paused\ndata: {\"data\":{\"reason\":\"idle\"}}\n\n");
  });
  const Result result = call(daemon.url(), {"events", "c", "-f", "--tail", "2", "--types",
                                            "cell.*,run.*", "--view", "committed"});
  CHECK(result.exit_code == 3);
  CHECK(result.out == "3\t\trun.completed\tr: 1\n4\t\tcell.paused\tidle\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].target == "/api/v1/cells/c/events?tail=2&types=cell.%2A%2Crun.%2A&view=committed");
  CHECK(seen[1].target == "/api/v1/cells/c/events?types=cell.%2A%2Crun.%2A&view=committed");
  CHECK(seen[1].headers.at("last-event-id") == "4");
}

TEST_CASE("the newest events go on where they began when the connection breaks before the first") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    if (connection++ > 0) return json_reply(404, R"({"error":"the cell is gone"})");
    return torn_event_reply("retry: 1\nid: 7\n\n");
  });
  const Result result = call(daemon.url(), {"events", "c", "-f", "--tail", "0"});
  CHECK(result.exit_code == 3);
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].target == "/api/v1/cells/c/events?tail=0");
  CHECK(seen[1].target == "/api/v1/cells/c/events");
  CHECK(seen[1].headers.at("last-event-id") == "7");
}

TEST_CASE("events that cannot be had at all are a failure at once") {
  FakeDaemon daemon([](const Seen&) { return json_reply(404, R"({"error":"no such run"})"); });
  CHECK(call(daemon.url(), {"events", "c", "r", "-f"}).exit_code == 3);
  FakeDaemon stopping([](const Seen&) { return json_reply(503, R"({"error":"stopping"})"); });
  CHECK(call(stopping.url(), {"events", "c", "r", "-f"}).exit_code == 1);
}

TEST_CASE("without -f events end with what has happened so far") {
  FakeDaemon daemon([](const Seen&) {
    return torn_event_reply("id: 1\nevent: log\ndata: {\"seq\":1,\"data\":\"\\u009b\"}\n\n") +
           std::string(kStayOpen);
  });
  const Result result = call(daemon.url(), {"events", "c", "r"});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "1\t\tlog\t\"\xef\xbf\xbd\"\n");
  CHECK(daemon.seen().size() == 1);
}

}  // namespace cellar::cli
