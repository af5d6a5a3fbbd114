#include <doctest/doctest.h>

#include "cli/fake_daemon.h"
#include "cli/test_call.h"
#include "json/json.h"

namespace cellar::cli {
TEST_CASE("checkpoints are made, listed and deleted") {
  FakeDaemon daemon([](const Seen& seen) {
    if (seen.method == "DELETE") return std::string("HTTP/1.1 204 No Content\r\n\r\n");
    if (seen.method == "POST") return json_reply(201, R"({"id":"cp_1"})");
    return json_reply(200, R"({"checkpoints":[{"id":"cp_1","name":"n","created_at":"t","files":2,
                               "bytes":3}]})");
  });
  CHECK(call(daemon.url(), {"checkpoints", "create", "c", "n", "-m", "why"}).out == "id\tcp_1\n");
  CHECK(body_of(daemon.seen().at(0)) == json::parse(R"({"name":"n","message":"why"})"));
  for (const char* verb : {"ls", "list"}) {
    CHECK(call(daemon.url(), {"checkpoints", verb, "c"}).out == "cp_1\tn\tt\t2\t3\t\n");
  }
  CHECK(call(daemon.url(), {"checkpoints", "rm", "c", "n/x"}).exit_code == 0);
  CHECK(daemon.seen().back().target == "/api/v1/cells/c/checkpoints/n%2Fx");
}

TEST_CASE("diff gives the patch as it is to a pipe, and names where they are asked for") {
  FakeDaemon daemon([](const Seen& seen) {
    if (seen.target.find("format=json") != seen.target.npos) {
      return json_reply(200, R"({"changes":[{"change":"renamed","path":"b","before":{"path":"a"}},
                                            {"change":"added","path":"c"}],
                                 "truncated_by":"time"})");
    }
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n+a\x1b\n-b\n \n");
  });
  CHECK(call(daemon.url(), {"diff", "c"}).out == "+a\x1b\n-b\n \n");
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/c/diff?format=patch");
  const Result names = call(daemon.url(), {"diff", "c", "one", "two", "--names", "--path", "s r"});
  CHECK(names.out == "renamed\ta -> b\nadded\tc\n");
  CHECK(names.err == "cellar: there is more: cut off by time\n");
  CHECK(daemon.seen().at(1).target ==
        "/api/v1/cells/c/diff?format=json&from=one&to=two&path=s%20r&names=1");
}

}  // namespace cellar::cli
