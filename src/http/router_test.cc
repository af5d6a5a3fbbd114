#include "http/router.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::http {
namespace {

Router router_of(const std::vector<std::pair<std::string, std::string>>& routes) {
  Router router;
  for (const auto& [method, pattern] : routes) {
    router.add(method, pattern, [](Exchange&, PathParams) -> asio::awaitable<void> { co_return; });
  }
  return router;
}

const Router kRouter = router_of({{"GET", "/cells"},
                                  {"GET", "/cells/{id}"},
                                  {"GET", "/cells/tiers"},
                                  {"DELETE", "/cells/{id}"},
                                  {"GET", "/cells/{id}/files/{path...}"}});

}  // namespace

TEST_CASE("a path finds its route and its names are decoded") {
  CHECK(kRouter.match("GET", "/cells").handler != nullptr);
  CHECK(kRouter.match("GET", "/cells/a%20b").params.at("id") == "a b");
  CHECK(kRouter.match("GET", "/cells/x/files/a/b%2Fc").params.at("path") == "a/b/c");
  CHECK(kRouter.match("GET", "/cells/x/files//").params.at("path") == "/");
}

TEST_CASE("a literal segment wins over a name") {
  CHECK(kRouter.match("GET", "/cells/tiers").params.empty());
}

TEST_CASE("an unknown path has no methods, an unknown method is told the others") {
  CHECK(kRouter.match("GET", "/nothing").allowed.empty());
  CHECK(kRouter.match("GET", "/cells/").allowed.empty());
  CHECK(kRouter.match("GET", "/cells/x/files/").allowed.empty());
  CHECK(kRouter.match("GET", "/cells//files/a/b").allowed.empty());
  const Router::Match match = kRouter.match("PUT", "/cells/x");
  CHECK(match.handler == nullptr);
  CHECK(match.allowed == std::vector<std::string>{"GET", "DELETE"});
}

TEST_CASE("a broken escape is an error that names it") {
  CHECK_THROWS_WITH_AS(kRouter.match("GET", "/cells/%zz"), "the path has a broken escape: \"%zz\"",
                       Error);
  CHECK_THROWS_AS(kRouter.match("GET", "/cells/%4"), Error);
}

TEST_CASE("queries are decoded, broken ones are not") {
  const auto query = parse_query("a=1&b=x+y%21&c");
  REQUIRE(query);
  CHECK(query->at("a") == "1");
  CHECK(query->at("b") == "x y!");
  CHECK(query->at("c").empty());
  CHECK_FALSE(parse_query("a=%"));
}

}  // namespace cellar::http
