#include <doctest/doctest.h>

#include "cli/test_call.h"

namespace cellar::cli {
namespace {

const std::string kFailure = "data: {\"error\":\"boom\",\"code\":\"x\",\"run\":\"r\"}\n\n";

// Of the run r; its connection is lost where less comes than it says.
std::string stream_of_run(const std::string& events, std::size_t left_out_bytes = 0) {
  return "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nX-Cellar-Run: "
         "r\r\nContent-Length: " +
         std::to_string(events.size() + left_out_bytes) + "\r\n\r\n" + events;
}

}  // namespace

TEST_CASE("request prints a value, or the lines of a stream, and tells a failed stream") {
  FakeDaemon daemon([](const Seen& seen) {
    const std::string method = body_of(seen).find("method")->as_string();
    if (method == "text") return json_reply(200, "\"two\\nlines\"");
    if (method == "value") return json_reply(200, "{\"a\":[1]}");
    if (method == "nothing") return json_reply(200, "null");
    if (method == "own") return stream_of_run("data: {\"error\":\"mine\"}\n\n");
    if (method == "other") {
      return stream_of_run("data: {\"error\":\"e\",\"code\":\"c\",\"run\":\"s\"}\n\n");
    }
    if (method == "goes-on") return stream_of_run(kFailure + "data: 2\n\n");
    if (method == "fails") {
      return stream_of_run("data: {\"n\":1}\n\n" + kFailure);
    }
    return event_reply("data: {\"n\":1}\n\ndata: 2\n\ndata: [DONE]\n\n");
  });
  CHECK(call(daemon.url(), {"request", "c", "text"}).out == "two\nlines\n");
  CHECK(call(daemon.url(), {"-o", "json", "request", "c", "text"}).out == "\"two\\nlines\"\n");
  CHECK(call(daemon.url(), {"request", "c", "value", "{\"p\":1}"}).out == "{\"a\":[1]}\n");
  CHECK(body_of(daemon.seen().back()) == json::parse(R"({"method":"value","params":{"p":1}})"));
  CHECK(call(daemon.url(), {"request", "c", "nothing"}).out == "null\n");
  CHECK(call(daemon.url(), {"request", "c", "stream", "-"}, "[7]").out == "{\"n\":1}\n2\n");
  CHECK(body_of(daemon.seen().back()).find("params")->as_array().size() == 1);
  const Result failed = call(daemon.url(), {"request", "c", "fails"});
  CHECK(failed.exit_code == 1);
  CHECK(failed.out == "{\"n\":1}\n");
  CHECK(failed.err == "cellar: boom\n        \"cellar runs get c r\" says what was done\n");
  CHECK(call(daemon.url(), {"-o", "json", "request", "c", "fails"})
            .err.starts_with("{\"error\":\"boom\",\"code\":\"x\","));
  const Result own = call(daemon.url(), {"request", "c", "own"});
  CHECK(own.exit_code == 0);
  CHECK(own.out == "{\"error\":\"mine\"}\n");
  const Result other = call(daemon.url(), {"request", "c", "other"});
  CHECK(other.exit_code == 0);
  CHECK(other.out == "{\"error\":\"e\",\"code\":\"c\",\"run\":\"s\"}\n");
  const Result on = call(daemon.url(), {"request", "c", "goes-on"});
  CHECK(on.exit_code == 0);
  CHECK(on.out == "{\"error\":\"boom\",\"code\":\"x\",\"run\":\"r\"}\n2\n");
  CHECK(call(daemon.url(), {"request", "c", "value", "{p:1}"}).exit_code == 2);
}

TEST_CASE(
    "request comes back with its key where the connection was lost, and shows nothing twice") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    switch (connection++) {
      case 0:
        return "";
      case 1:
        return json_reply(503, R"({"error":"starting","retryable":true})");
      case 2:
        return stream_of_run("id: 4\ndata: 1\n\nid: 5\ndata: 2\n\nid: 6\ndata: 3", 9);
      case 3:  // It may be the agent's own item: it is shown when that is known.
        return stream_of_run(std::string("id: 6\n") + kFailure, 9);
      default:
        return stream_of_run(std::string("id: 6\n") + kFailure + "id: 7\ndata: 4\n\n: end\n\n");
    }
  });
  const Result result = call(daemon.url(), {"request", "c", "m", "[7]"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(result.out == "1\n2\n{\"error\":\"boom\",\"code\":\"x\",\"run\":\"r\"}\n4\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 5);
  const std::string key = seen[0].headers.at("idempotency-key");
  CHECK(key.size() == 32);
  for (const Seen& one : seen) {
    CHECK(one.headers.at("idempotency-key") == key);
    CHECK(body_of(one) == json::parse(R"({"method":"m","params":[7]})"));
  }
  CHECK_FALSE(seen[2].headers.contains("last-event-id"));
  CHECK(seen[3].headers.at("last-event-id") == "5");
  CHECK(seen[4].headers.at("last-event-id") == "5");
  FakeDaemon again([](const Seen&) { return json_reply(200, "1"); });
  call(again.url(), {"request", "c", "m"});
  CHECK(again.seen().at(0).headers.at("idempotency-key") != key);
}

TEST_CASE("request goes on where a stream came to an end, but not to its own") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    switch (connection++) {
      case 0:
        return stream_of_run("retry: 1\n\n");
      case 1:
        return stream_of_run("retry: 1\n\nid: 4\ndata: 1\n\n");
      case 2:
        return stream_of_run("retry: 1\n\nid: 5\ndata: 2\n\n");
      default:
        return stream_of_run("retry: 1\n\n: end\n\n");
    }
  });
  CHECK(call(daemon.url(), {"request", "c", "m"}).out == "1\n2\n");
  const auto seen = daemon.seen();
  REQUIRE(seen.size() == 4);
  CHECK(seen[3].headers.at("last-event-id") == "5");
}

TEST_CASE("request ends at once where the answer says that another try is in vain") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) -> std::string {
    if (connection++ == 0) return "";
    return json_reply(503, R"({"error":"it is damaged","code":"cell_damaged","retryable":false,
                               "remediation":"restore a backup"})");
  });
  const Result result = call(daemon.url(), {"request", "c", "m"});
  CHECK(result.exit_code == 1);
  CHECK(result.err == "cellar: it is damaged\n        restore a backup\n");
  CHECK(daemon.seen().size() == 2);
}

TEST_CASE("an answer of a request that is no stream is asked for again where it broke off") {
  int connection = 0;
  FakeDaemon daemon([&](const Seen&) {
    const std::string whole = json_reply(200, R"({"a":1})");
    return connection++ == 0 ? whole.substr(0, whole.size() - 3) : whole;
  });
  CHECK(call(daemon.url(), {"request", "c", "m"}).out == "{\"a\":1}\n");
  CHECK(daemon.seen().size() == 2);
}

TEST_CASE(
    "what would be done or shown twice is not asked for again, nor one that never was there") {
  FakeDaemon daemon([](const Seen& seen) -> std::string {
    const std::string method = body_of(seen).find("method")->as_string();
    return method == "unnumbered" ? torn_event_reply("data: 1\n\n") : "";
  });
  const Result once = call(daemon.url(), {"request", "c", "db_create"});
  CHECK(once.exit_code == 4);
  const Result unnumbered = call(daemon.url(), {"request", "c", "unnumbered"});
  CHECK(unnumbered.exit_code == 4);
  CHECK(unnumbered.out == "1\n");
  CHECK(daemon.seen().size() == 2);
  FakeDaemon starting([](const Seen&) { return json_reply(503, R"({"error":"starting"})"); });
  CHECK(call(starting.url(), {"request", "c", "m"}).exit_code == 1);
  CHECK(starting.seen().size() == 1);
}

}  // namespace cellar::cli
