#include <doctest/doctest.h>

#include "cli/fake_daemon.h"
#include "cli/test_call.h"
#include "json/json.h"

namespace cellar::cli {

TEST_CASE("a secret is set with its hosts, and taken away, by its name") {
  FakeDaemon daemon([](const Seen& seen) {
    return seen.method == "DELETE" ? std::string("HTTP/1.1 204 No Content\r\n\r\n")
                                   : json_reply(200, R"({"name":"K/1"})");
  });
  CHECK(call(daemon.url(), {"secrets", "a/b", "set", "K/1=v=w", "--host", "a.test", "--host",
                            "*.b.test:8443", "--header", "X-Key", "--shell"})
            .exit_code == 0);
  const Seen set = daemon.seen().at(0);
  CHECK(set.method == "PUT");
  CHECK(set.target == "/api/v1/cells/a%2Fb/secrets/K%2F1");
  CHECK(body_of(set) == json::parse(R"({"value":"v=w","hosts":["a.test","*.b.test:8443"],
                                        "header":"X-Key","shell":true})"));
  CHECK(call(daemon.url(), {"secrets", "c", "set", "K=v"}).exit_code == 0);
  CHECK(body_of(daemon.seen().at(1)) == json::parse(R"({"value":"v"})"));
  CHECK(call(daemon.url(), {"secrets", "c", "rm", "K"}).exit_code == 0);
  CHECK(daemon.seen().at(2).method == "DELETE");
}

TEST_CASE("secrets are listed without their values") {
  FakeDaemon daemon([](const Seen&) {
    return json_reply(200, R"({"secrets":[{"name":"A"},{"name":"B","hosts":["a.test","b.test"],
                                           "header":"X","shell":true}]})");
  });
  CHECK(call(daemon.url(), {"secrets", "c"}).out == "A\t\t\t\nB\ta.test b.test\tX\ttrue\n");
}

TEST_CASE("create gives a secret the hosts that are named for it") {
  FakeDaemon daemon([](const Seen&) { return json_reply(201, R"({"cell_id":"c"})"); });
  CHECK(call(daemon.url(), {"create", "a", "--secret", "K=v", "--secret", "P=w", "--secret-host",
                            "K=a.test", "--secret-host", "K=b.test"})
            .exit_code == 0);
  CHECK(body_of(daemon.seen().at(0)).find("secrets")->as_object().size() == 2);
  CHECK(*body_of(daemon.seen().at(0)).find("secrets") ==
        json::parse(R"({"K":{"value":"v","hosts":["a.test","b.test"]},"P":"w"})"));
}

TEST_CASE("what is no order to change secrets is said, and nothing is sent") {
  FakeDaemon daemon([](const Seen&) { return json_reply(200, "{}"); });
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"secrets", "c", "set"},
           {"secrets", "c", "show", "K"},
           {"secrets", "c", "rm", "K", "--shell"},
           {"secrets", "c", "set", "K=v", "--header", "X"},
           {"secrets", "c", "set", "NOT_IN_ANY_ENVIRONMENT"},
           {"create", "a", "--secret-host", "K=a.test"},
           {"create", "a", "--secret", "K=v", "--secret-host", "K"}}) {
    CHECK(call(daemon.url(), words).exit_code == 2);
  }
  CHECK(daemon.seen().empty());
}

}  // namespace cellar::cli
