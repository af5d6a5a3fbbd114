#include <doctest/doctest.h>

#include "cli/test_call.h"

namespace cellar::cli {
namespace {

constexpr const char* kProcess =
    R"({"id":"p3","command":"sleep 9","pid":7,"terminal":false,"status":"running",)"
    R"("started_at":"2026-01-01T10:00:00.000Z","output_first":0,"output_next":0})";

}  // namespace

TEST_CASE("a command is started in the background, and its id is printed") {
  FakeDaemon daemon([](const Seen&) { return json_reply(201, kProcess); });
  const Result result = call(daemon.url(), {"start", "c", "--cwd", "src", "--env", "A=b",
                                            "--timeout", "1.5", "-i", "-t", "--", "sleep", "9"});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "p3\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].target == "/api/v1/cells/c/processes");
  CHECK(seen[0].body == R"({"cmd":["sleep","9"],"cwd":"src","timeout_ms":1500,"env":{"A":"b"},)"
                        R"("stdin":true,"terminal":{"columns":80,"rows":24}})");
  CHECK(call(daemon.url(), {"start", "c"}).exit_code == 2);
  CHECK(call(daemon.url(), {"start", "c", "sleep"}).err ==
        "cellar: a command comes behind --: cellar start ID -- CMD...\n");
  CHECK(call(daemon.url(), {"ps", "c", "--", "x"}).exit_code == 2);
}

TEST_CASE("commands in the background are listed with how they ended") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200,
                      std::string(R"({"processes":[)") + kProcess +
                          R"(,{"id":"p4","status":"exited","exit_code":7},)"
                          R"({"id":"p5","status":"exited","exit_code":137,"lost":true},)"
                          R"({"id":"p6","status":"exited","exit_code":137,"timed_out":true}]})");
  });
  const Result result = call(daemon.url(), {"ps", "c"});
  CHECK(result.out ==
        "p3\trunning\t7\t2026-01-01T10:00:00.000Z\tsleep 9\n"
        "p4\texited 7\t\t\t\np5\tlost\t\t\t\np6\ttimed out\t\t\t\n");
}

TEST_CASE(
    "logs go on behind the last byte when the connection breaks, and end as the command did") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) {
    if (connection++ == 0) {
      return torn_event_reply("id: 3\nevent: stdout\ndata: {\"text\":\"abc\"}\n\nid: 4\nev");
    }
    return event_reply(
        "id: 4\nevent: stderr\ndata: {\"text\":\"\\u009b\"}\n\nid: 5\nevent: stdout\n"
        "data: {\"b64\":\"Cg==\"}\n\nevent: exit\ndata: {\"exit_code\":7,\"timed_out\":true}\n\n");
  });
  const Result result = call(daemon.url(), {"logs", "c", "p3", "-f"});
  CHECK(result.exit_code == 7);
  CHECK(result.out == "abc\n");
  CHECK(result.err ==
        "\xef\xbf\xbd"
        "cellar: the command was killed: it ran too long; --timeout gives it more\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].target == "/api/v1/cells/c/processes/p3/log?after=0");
  CHECK(seen[1].target == "/api/v1/cells/c/processes/p3/log?after=3");
}

TEST_CASE("input is sent as it is, then its end") {
  FakeDaemon daemon([](const Seen&) { return std::string("HTTP/1.1 204 No Content\r\n\r\n"); });
  CHECK(call(daemon.url(), {"input", "c", "p3"}, "a\xff").exit_code == 0);
  CHECK(call(daemon.url(), {"kill", "c", "p3", "-s", "HUP"}).exit_code == 0);
  CHECK(call(daemon.url(), {"kill", "c", "p3", "-s", "9"}).exit_code == 0);
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 4);
  CHECK(seen[0].target == "/api/v1/cells/c/processes/p3/stdin");
  CHECK(seen[0].body == "a\xff");
  CHECK(seen[1].target == "/api/v1/cells/c/processes/p3/stdin?end=1");
  CHECK(seen[1].body.empty());
  CHECK(seen[2].target == "/api/v1/cells/c/processes/p3/signal");
  CHECK(seen[2].body == R"({"signal":"HUP"})");
  CHECK(seen[3].body == R"({"signal":9})");
}

TEST_CASE("of input that was not all taken the rest is sent again") {
  int asked = 0;
  FakeDaemon daemon([&](const Seen&) {
    if (++asked > 1) return std::string("HTTP/1.1 204 No Content\r\n\r\n");
    return json_reply(504,
                      R"({"error":"p3 took 2 of 4 bytes","code":"input_not_taken","taken":2})");
  });
  CHECK(call(daemon.url(), {"input", "c", "p3"}, "abcd").exit_code == 0);
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].body == "abcd");
  CHECK(seen[1].body == "cd");
  CHECK(seen[2].target == "/api/v1/cells/c/processes/p3/stdin?end=1");
}

TEST_CASE("a shell needs a terminal here, and starts nothing without one") {
  FakeDaemon daemon([](const Seen&) { return json_reply(201, kProcess); });
  const Result result = call(daemon.url(), {"sh", "c"});
  CHECK(result.exit_code == 1);
  CHECK(result.err.find("no terminal") != std::string::npos);
  CHECK(daemon.seen().empty());
}

}  // namespace cellar::cli
