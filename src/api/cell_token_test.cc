#include "api/cell_token.h"

#include <doctest/doctest.h>

namespace cellar::api {
namespace {

const SigningKey kTokenKey(std::string(32, 'k'));
const WallTime kTokenEnd = from_unix_ms(1'700'000'000'000);
const TokenCell kTokenCell{"dev--a", from_unix_ms(1'600'000'000'000)};

http::Request get(const std::map<std::string, std::string>& headers,
                  const std::string& query = {}) {
  http::Request request{.method = "GET"};
  for (const auto& [name, value] : headers) request.headers[name] = value;
  if (!query.empty()) request.query[std::string(kTokenQuery)] = query;
  return request;
}

}  // namespace

TEST_CASE("a token is good for its cell as it was signed, and for nothing else") {
  const CellToken token{"key_1", cell::Scope::read, kTokenEnd};
  const std::string text = sign_token(kTokenKey, kTokenCell, token);
  CHECK(is_cell_token(text));
  CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._") == text.npos);
  CHECK(read_token(kTokenKey, kTokenCell, text) == token);
  CHECK_FALSE(read_token(kTokenKey, {"dev--b", kTokenCell.created_at}, text));
  // One that was deleted and made again is another cell.
  CHECK_FALSE(read_token(kTokenKey, {"dev--a", kTokenEnd}, text));
  CHECK_FALSE(read_token(SigningKey(std::string(32, 'l')), kTokenCell, text));
  for (std::size_t at = 0; at < text.size(); ++at) {
    CAPTURE(at);
    std::string changed = text;
    changed[at] = changed[at] == 'w' ? 'r' : 'w';
    CHECK_FALSE(read_token(kTokenKey, kTokenCell, changed));
  }
  const std::string code(64, 'a');
  for (const std::string& bad : {std::string(), std::string("ct1."), "ct1.1.r.key_1." + code}) {
    CHECK_FALSE(read_token(kTokenKey, kTokenCell, bad));
  }
}

TEST_CASE("a preview link is no token, and a token no preview link") {
  const PreviewSigner links(kTokenKey);
  const std::string link = links.sign({"dev--a", kTokenCell.created_at}, {}, kTokenEnd);
  CHECK_FALSE(read_token(kTokenKey, kTokenCell, link));
  const std::string token = sign_token(kTokenKey, kTokenCell, {"key_1", {}, kTokenEnd});
  CHECK_FALSE(links.check(token, kTokenCell, {}, kTokenCell.created_at));
}

TEST_CASE(
    "a token comes in a header, or of a GET in a subprotocol or the query; a key in headers only") {
  CHECK(credential_of(get({{"authorization", "Bearer abc"}, {"x-api-key", "d"}})) == "abc");
  CHECK(credential_of(get({{"x-api-key", " d "}})) == "d");
  CHECK(credential_of(get({{"sec-websocket-protocol", "x, cellar.token.ct1.a"}})) == "ct1.a");
  CHECK(credential_of(get({}, "ct1.a")) == "ct1.a");
  CHECK(credential_of(get({}, "cellar_key")).empty());
  CHECK(credential_of(get({{"sec-websocket-protocol", "cellar.token.cellar_key"}})).empty());
  http::Request post = get({}, "ct1.a");
  post.method = "POST";
  CHECK(credential_of(post).empty());
}

TEST_CASE("a browser that offers a token gets a subprotocol of its own words back") {
  const auto answered = [](const char* offered) {
    return answered_protocol(get({{"sec-websocket-protocol", offered}}));
  };
  CHECK(answered("cellar.token.ct1.a, cellar") == "cellar");
  CHECK(answered("cellar.token.ct1.a") == "cellar.token.ct1.a");
  CHECK(answered("graphql").empty());
  CHECK(answered_protocol(get({})).empty());
}

}  // namespace cellar::api
