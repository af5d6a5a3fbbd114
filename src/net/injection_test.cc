#include "net/injection.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cellar::net {
namespace {

const std::string kKey = "cellar-secret-0123456789abcdef0123456789abcdef";
const std::string kTool = "cellar-secret-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const std::string kGone = "cellar-secret-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const Destination kApi{"api.test", 443, true};

HostPattern host(std::string_view text) { return HostPattern::parse(text).value(); }

Injection injection() {
  return Injection(
      {{"API_KEY", kKey, "sk-live-1", {host("api.test"), host("*.more.test:8443")}, "", true},
       {"TOOL", kTool, "tool-value", {host("tool.test")}, "X-Api-Key", true},
       {"AGENTS", kGone, "agent-value", {host("api.test")}, "X-Agent", false}});
}

RequestHead request(const std::string& lines) {
  auto read = read_request_head("GET /v1 HTTP/1.1\r\nHost: api.test\r\n" + lines + "\r\n",
                                {"api.test", 443, true});
  return std::get<RequestHead>(std::move(read));
}

std::string sent(const std::string& lines, const Destination& to = kApi) {
  RequestHead head = request(lines);
  const auto refused = injection().put_in(head, to);
  if (refused) return std::string(to_string(refused->why)) + " " + refused->rule;
  std::string shown;
  for (const auto& [name, value] : head.headers) shown += name + ": " + value + "\n";
  return shown;
}

}  // namespace

TEST_CASE("a value takes the place of its placeholder in headers, for its hosts only") {
  CHECK(sent("Authorization: Bearer " + kKey + "\r\n") ==
        "Authorization: Bearer sk-live-1\nAccept-Encoding: identity\n");
  CHECK(sent("A: " + kKey + kKey + "!\r\n") ==
        "A: sk-live-1sk-live-1!\nAccept-Encoding: identity\n");
  CHECK(sent("A: " + kKey + "\r\n", {"x.more.test", 8443, true}).starts_with("A: sk-live-1\n"));
  CHECK(sent("A: " + kKey + "\r\n", {"x.more.test", 443, true}) == "secret_elsewhere API_KEY");
  CHECK(sent("A: " + kKey + "\r\n", {"tool.test", 443, true}) == "secret_elsewhere API_KEY");
  CHECK(sent("A: b\r\n", {"other.test", 443, true}) == "A: b\n");
}

TEST_CASE(
    "a value is never put in without TLS, elsewhere than in a header, or for another domain") {
  CHECK(sent("A: " + kKey + "\r\n", {"api.test", 443, false}) == "secret_in_clear API_KEY");
  CHECK(sent("X-" + kKey + ": a\r\n") == "secret_misplaced API_KEY");
  CHECK(sent("A: " + kGone + "\r\n") == "secret_elsewhere AGENTS");
  CHECK(sent("A: cellar-secret-cccccccccccccccccccccccccccccccc\r\n") == "secret_unknown ");
  RequestHead head = request("");
  head.target = "/bot" + kKey;
  CHECK(injection().put_in(head, kApi)->why == Why::secret_misplaced);
  CHECK(head.target == "/bot" + kKey);
}

TEST_CASE("a placeholder is found in the user and password that git and npm send") {
  CHECK(sent("Authorization: Basic " + to_base64("me:" + kKey) + "\r\n") ==
        "Authorization: Basic " + to_base64("me:sk-live-1") + "\nAccept-Encoding: identity\n");
  CHECK(sent("Authorization: Basic " + to_base64("me:" + kTool) + "\r\n") ==
        "secret_elsewhere TOOL");
  CHECK(sent("Authorization: Basic %%%\r\n").starts_with("Authorization: Basic %%%\n"));
}

TEST_CASE("a secret that is a header is set in every request to its hosts, whatever was sent") {
  CHECK(sent("x-api-key: mine\r\nX-API-KEY: too\r\n", {"tool.test", 443, true}) ==
        "X-Api-Key: tool-value\nAccept-Encoding: identity\n");
  CHECK(sent("x-api-key: mine\r\n", {"tool.test", 443, false}) == "x-api-key: mine\n");
}

TEST_CASE("TLS is opened for the hosts of this domain's secrets, and for no others") {
  CHECK(injection().covers("api.test", 443));
  CHECK(injection().covers("a.b.more.test", 8443));
  CHECK_FALSE(injection().covers("more.test", 8443));
  CHECK_FALSE(injection().covers("api.test", 80));
  CHECK_FALSE(
      Injection({{"A", kGone, "agent-value", {host("a.test")}, "", false}}).covers("a.test", 443));
}

TEST_CASE("a placeholder in bytes that nobody opens is refused by the secret's name") {
  CHECK_FALSE(injection().judge_clear("GET /", "a.test", 80));
  CHECK(injection().judge_clear("x" + kKey, "a.test", 80)->rule == "API_KEY");
  CHECK_FALSE(Injection().judge_clear(kKey, "a.test", 80));
}

TEST_CASE("the secrets of one host are counted with those that wildcards give it") {
  const auto with = [](std::vector<HostPattern> hosts) {
    return BoundSecret{"A", kKey, "value-of-a", std::move(hosts), "", true};
  };
  CHECK(most_of_one_host({}) == 0);
  CHECK(most_of_one_host({with({host("a.test"), host("b.test")}), with({host("b.test")})}) == 2);
  CHECK(most_of_one_host({with({host("a.test")}), with({host("a.test:8443")})}) == 1);
  CHECK(most_of_one_host({with({host("a.b.test")}), with({host("*.b.test")}),
                          with({host("*.test"), host("*.b.test")}), with({host("b.test")})}) == 3);
  CHECK(most_of_one_host({with({host("ab.test")}), with({host("*.b.test")})}) == 1);
}

}  // namespace cellar::net
