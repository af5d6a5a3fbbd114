#include <doctest/doctest.h>

#include "cli/fake_daemon.h"
#include "cli/test_call.h"
#include "json/json.h"

namespace cellar::cli {

TEST_CASE("a budget is set, a cell is refused models, and what it may is shown") {
  FakeDaemon daemon([](const Seen& seen) {
    return json_reply(200, seen.method == "GET" ? R"({"cell_id":"c","llm":{"enabled":false}})"
                                                : R"({"enabled":true})");
  });
  CHECK(call(daemon.url(), {"llm", "a/b", "--budget", "5", "--per", "run"}).exit_code == 0);
  CHECK(daemon.seen().at(0).method == "PUT");
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/a%2Fb/llm");
  CHECK(body_of(daemon.seen().at(0)) ==
        json::parse(R"({"enabled":true,"budget":{"tokens":5,"per":"run"}})"));
  CHECK(call(daemon.url(), {"llm", "c", "off"}).exit_code == 0);
  CHECK(body_of(daemon.seen().at(1)) == json::parse(R"({"enabled":false})"));
  CHECK(call(daemon.url(), {"llm", "c"}).out == "enabled\tfalse\n");
  CHECK(call(daemon.url(), {"llm", "c", "off", "--budget", "5"}).exit_code == 2);
  CHECK(call(daemon.url(), {"llm", "c", "--per", "run"}).exit_code == 2);
  CHECK(call(daemon.url(), {"llm", "c", "--budget", "-1"}).exit_code == 2);
}

TEST_CASE("what a cell has used is a table") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"cell_id":"c","llm":{"requests":2,"input_tokens":7,"output_tokens":3,
      "models":{"m":{"requests":2,"input_tokens":7,"output_tokens":3}},
      "budget":{"tokens":50,"per":"run"},"budget_of":"daemon"},
      "network":{"bytes_up":1,"bytes_down":2,"connections":1},
      "cpu":{"seconds":0.5,"since":"2026-11-28T12:00:00.000Z"},"runs":{"kept":1,"steps":4}})");
  });
  CHECK(call(daemon.url(), {"usage", "c"}).out ==
        "llm requests\t2\nllm input tokens\t7\nllm output tokens\t3\n"
        "llm budget\t50 tokens per run, of the daemon\n"
        "llm m\t2 requests, 7 tokens in, 3 out\n"
        "network bytes up\t1\nnetwork bytes down\t2\nnetwork connections\t1\n"
        "cpu seconds\t0.5 since 2026-11-28T12:00:00.000Z\nruns kept\t1\nsteps done\t4\n");
  CHECK(daemon.seen().at(0).target == "/api/v1/cells/c/usage");
}

}  // namespace cellar::cli
