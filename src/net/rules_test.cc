#include "net/rules.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "net/request_head.h"

namespace cellar::net {
namespace {

RuleText rule(const std::string& host, std::optional<std::string> method = std::nullopt,
              std::optional<std::string> path = std::nullopt) {
  return {.host = host, .method = std::move(method), .path = std::move(path)};
}

std::size_t number_of(const Rules& rules, std::string_view method, std::string_view target,
                      std::string_view host = "api.test", std::uint16_t port = 443) {
  const Rules::Answer answer = rules.first(host, port, method, target);
  if (answer.is_path_ambiguous) return 999;
  return answer.rule == nullptr ? 0 : answer.rule->number;
}

std::string why_bad(const RuleText& text) {
  try {
    Rules::parse({text});
  } catch (const Error& error) {
    CHECK(error.reason() == "invalid_rule");
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the first rule that fits decides, and what none fits is sent as it is") {
  const Rules rules =
      Rules::parse({rule("api.test", "GET", "/v1/models"), rule("api.test", std::nullopt, "/v1/*"),
                    rule("api.test", "DELETE"), rule("*.x.test:8443")});
  CHECK(number_of(rules, "GET", "/v1/models?a=/b") == 1);
  CHECK(number_of(rules, "get", "/v1/models") == 1);
  CHECK(number_of(rules, "POST", "/v1/models") == 2);
  CHECK(number_of(rules, "GET", "/v1/models/") == 2);
  CHECK(number_of(rules, "GET", "/v1") == 0);
  CHECK(number_of(rules, "DELETE", "/") == 3);
  CHECK(number_of(rules, "GET", "/", "a.x.test", 8443) == 4);
  CHECK(rules.covers("api.test", 80));
  CHECK_FALSE(rules.covers("api.test", 8443));
  CHECK_FALSE(rules.covers("a.x.test", 443));
}

TEST_CASE("a path is compared in one spelling, and refused where it has two meanings") {
  const Rules rules = Rules::parse({rule("api.test", std::nullopt, "/admin/*")});
  CHECK(number_of(rules, "GET", "/%61dmin/x") == 1);
  CHECK(number_of(rules, "GET", "/admin%2Fx") == 0);
  for (const char* target : {"/a/../admin/x", "/a/%2e%2E/admin", "//admin/x", "/./admin/x",
                             "/a\\..\\admin", "/%zz", "/%6", "/a/..%2Fb", "/a/%2e%2e%2fb",
                             "/a/x%2F..%2F..%2Fb", "/a/..%5Cb", "/a/..;/b", "/a/..%3bx/b"}) {
    CAPTURE(target);
    CHECK(number_of(rules, "GET", target) == 999);
  }
  CHECK(number_of(Rules::parse({rule("api.test")}), "GET", "//x/..") == 1);
}

TEST_CASE("a rule that could not be kept is refused, naming what is wrong") {
  CHECK(why_bad(rule("10.0.0.1")).find("rule 1") != std::string::npos);
  CHECK(why_bad(rule("")) != "");
  CHECK(why_bad(rule("a.test", "GE T")).find("\"method\"") != std::string::npos);
  for (const char* path : {"", "v1", "/a*b", "/a?b", "/a/../b", "//", "/%61"}) {
    CAPTURE(path);
    CHECK(why_bad(rule("a.test", std::nullopt, path)).find("\"path\"") != std::string::npos);
  }
  for (const char* name : {"Host", "content-length", "Proxy-Authorization", "a b", ""}) {
    CAPTURE(name);
    CHECK(why_bad({.host = "a.test", .headers = {{name, "x"}}}).find("header") !=
          std::string::npos);
  }
  CHECK(why_bad({.host = "a.test", .headers = {{"A", "x\r\nB: c"}}}).find("one line") !=
        std::string::npos);
  for (const char* url : {"ftp://a.test", "https://10.0.0.1/", "https://*.a.test",
                          "https://a.test?x", "https://a.test/../b", "https://u@a.test"}) {
    CAPTURE(url);
    CHECK(why_bad({.host = "a.test", .forward = url}).find("\"forward\"") != std::string::npos);
  }
  CHECK(why_bad({.host = "a.test", .response = RuleText::Response{.status = 101}})
            .find("\"status\"") != std::string::npos);
  CHECK(why_bad({.host = "a.test", .forward = "http://b.test", .response = RuleText::Response{}})
            .find("\"respond\"") != std::string::npos);
}

TEST_CASE("rules have limits, and each is told") {
  CHECK_THROWS_AS(Rules::parse(std::vector<RuleText>(Rules::kRulesMax + 1, rule("a.test"))), Error);
  RuleText many = rule("a.test");
  many.headers.assign(Rules::kHeadersMax + 1, {"A", "b"});
  CHECK(why_bad(many).find("at most 16 headers") != std::string::npos);
  RuleText wide = rule("a.test");
  wide.headers = {{"A", std::string(Rules::kHeaderBytesMax, 'b')}};
  CHECK(why_bad(wide) != "");
  RuleText large = rule("a.test");
  large.response = RuleText::Response{.body = std::string(Rules::kBodyBytesMax + 1, 'b')};
  CHECK(why_bad(large).find("at most 65536") != std::string::npos);
}

TEST_CASE("where a rule sends requests to is read once") {
  const Rules rules = Rules::parse({{.host = "a.test", .forward = "https://gw.test:8443/base/"}});
  const auto& forward = rules.all().front().forward.value();
  CHECK(forward.to == Destination{"gw.test", 8443, true});
  CHECK(forward.authority == "gw.test:8443");
  CHECK(forward.base == "/base");
}

TEST_CASE("a request is read strictly, and written anew as what was read") {
  const auto text_of = [](const std::string& bytes) {
    auto read = read_request_head(bytes, {"a.test", 443, true});
    const auto* bad = std::get_if<BadRequest>(&read);
    return bad != nullptr ? "bad: " + bad->text : std::get<RequestHead>(read).text();
  };
  CHECK(
      text_of("POST http://A.test/x HTTP/1.1\r\nHOST: a.test\r\nConnection: x, close\r\n"
              "X: 1\r\nY:2\r\nContent-Length: 3\r\n\r\n") ==
      "POST /x HTTP/1.1\r\nHost: a.test\r\nY: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
  CHECK(text_of("GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
                "\r\n")
            .ends_with("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
  CHECK(text_of("GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n") ==
        "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
  const std::string start = "POST /x HTTP/1.1\r\nHost: a.test\r\n";
  for (const std::string& bytes :
       {start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
        start + "Transfer-Encoding: chunked, identity\r\n\r\n",
        start + "Transfer-Encoding : chunked\r\n\r\n", start + "Content-Length: +3\r\n\r\n",
        start + "A: b\r\n c\r\n\r\n", start + "Host: a.test\r\n\r\n", start + "A: b\nC: d\r\n\r\n",
        start + "Connection: Content-Length\r\nContent-Length: 3\r\n\r\n",
        std::string("GET /x HTTP/1.1\r\n\r\n"),
        std::string("GET x HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        std::string("GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}) {
    CAPTURE(bytes);
    CHECK(text_of(bytes).starts_with("bad: "));
  }
}

}  // namespace cellar::net
