#include "api/preview_access.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::api {
namespace {

const TokenCell kCell = {"dev--a", from_unix_ms(5)};
const WallTime kNow = from_unix_ms(1'000'000);
const WallTime kLater = kNow + std::chrono::seconds(60);

}  // namespace

TEST_CASE("a token opens one cell, one port or all, until it expires") {
  const PreviewSigner signer(SigningKey(std::string(32, 'k')));
  const std::string all = signer.sign(kCell, {}, kLater);
  CHECK(signer.check(all, kCell, {}, kNow) == kLater);
  CHECK(signer.check(all, kCell, 3000, kNow) == kLater);
  CHECK_FALSE(signer.check(all, kCell, {}, kLater));
  CHECK_FALSE(signer.check(all, {"dev--b", kCell.created_at}, {}, kNow));
  CHECK_FALSE(signer.check(all, {"dev--a", from_unix_ms(6)}, {}, kNow));
  CHECK_FALSE(PreviewSigner(SigningKey(std::string(32, 'l'))).check(all, kCell, {}, kNow));
  const std::string one = signer.sign(kCell, 3000, kLater);
  CHECK(signer.check(one, kCell, 3000, kNow));
  CHECK_FALSE(signer.check(one, kCell, 3001, kNow));
  CHECK_FALSE(signer.check(one, kCell, {}, kNow));
}

TEST_CASE("a token that anybody changed at any place opens nothing") {
  const PreviewSigner signer(SigningKey(std::string(32, 'k')));
  const std::string token = signer.sign(kCell, 3000, kLater);
  for (std::size_t at = 0; at < token.size(); ++at) {
    std::string changed = token;
    changed[at] = changed[at] == '9' ? '8' : '9';
    if (changed != token) CHECK_FALSE(signer.check(changed, kCell, 3000, kNow));
    CHECK_FALSE(signer.check(token.substr(0, at), kCell, 3000, kNow));
  }
  CHECK_FALSE(signer.check("", kCell, 3000, kNow));
}

TEST_CASE("the signing key is made once, for nobody else to read") {
  const testing::TempDir dir;
  const std::string path = dir.file("key");
  const std::string token = PreviewSigner(SigningKey::from_file(path)).sign(kCell, {}, kLater);
  CHECK(PreviewSigner(SigningKey::from_file(path)).check(token, kCell, {}, kNow));
  sys::replace_file(path, "short");
  CHECK_THROWS_AS(SigningKey::from_file(path), Error);
}

TEST_CASE("what opens the preview is taken out of what the server in the cell gets") {
  http::Fields fields = {
      {"Cookie", "a=1; cellar_preview=t1; b=2"}, {"cookie", "cellar_preview=t2"}, {"Accept", "x"}};
  CHECK(preview_cookies(fields) == std::vector<std::string>{"t1", "t2"});
  remove_preview_cookie(fields);
  CHECK(fields == http::Fields{{"Cookie", "a=1; b=2"}, {"Accept", "x"}});
  CHECK(without_token("/a?x=1&cellar_token=t&y=%20") == "/a?x=1&y=%20");
  CHECK(without_token("/a?cellar_token=t") == "/a");
  CHECK(without_token("/a?cellar%5Ftoken=t&x") == "/a?x");
  CHECK(without_token("/a?&x&cellar_token=t&") == "/a?&x&");
  for (const char* target : {"/a?", "/a?&", "/a?&x=1&&"}) CHECK(without_token(target) == target);
  CHECK(without_token("/a") == "/a");
}

TEST_CASE("a cookie is no proof for what another site's page sends") {
  const auto from = [](const char* origin) {
    return http::Fields{{"Host", "a.cells:80"}, {"Origin", origin}};
  };
  CHECK_FALSE(is_from_elsewhere("POST", from("http://A.cells:80"), false));
  CHECK_FALSE(is_from_elsewhere("POST", {{"Host", "a"}}, false));
  CHECK_FALSE(is_from_elsewhere("GET", from("http://evil"), false));
  CHECK(is_from_elsewhere("GET", from("http://evil"), true));
  CHECK(is_from_elsewhere("POST", from("http://b.cells:80"), false));
  CHECK(is_from_elsewhere("DELETE", from("null"), false));
}

TEST_CASE("a part of another page is none of what a cookie opens below a path") {
  const auto fetched = [](const char* site, const char* mode) {
    return http::Fields{{"Sec-Fetch-Site", site}, {"Sec-Fetch-Mode", mode}};
  };
  CHECK(is_part_of_own_page(fetched("same-origin", "no-cors")));
  CHECK(is_part_of_own_page(fetched("same-origin", "cors")));
  CHECK_FALSE(is_part_of_own_page(fetched("same-origin", "navigate")));
  CHECK_FALSE(is_part_of_own_page(fetched("cross-site", "no-cors")));
  CHECK_FALSE(is_part_of_own_page({}));
  CHECK(is_part_of_foreign_page(fetched("cross-site", "no-cors")));
  CHECK_FALSE(is_part_of_foreign_page(fetched("cross-site", "navigate")));
  CHECK_FALSE(is_part_of_foreign_page(fetched("none", "navigate")));
  CHECK_FALSE(is_part_of_foreign_page({}));
}

TEST_CASE("cookies of a preview are for that preview only") {
  CHECK(own_cookie("a=1; Domain=.cells.example.com; path=/x; HttpOnly", "") ==
        "a=1; HttpOnly; Path=/x");
  CHECK(own_cookie("a=1; Path=/x", "/preview/dev--a") == "a=1; Path=/preview/dev--a/x");
  CHECK(own_cookie("a=1", "/preview/dev--a") == "a=1; Path=/preview/dev--a/");
  CHECK(own_cookie("cellar_preview=x; Path=/", "").empty());
  CHECK(own_cookie("; cellar_preview=x", "").empty());
  CHECK(own_cookie(" =cellar_preview=x", "").empty());
  const std::chrono::seconds minute(60);
  CHECK(cookie_of("t", {"dev--a", {}, "", "/"}, minute, true) ==
        "cellar_preview=t; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned");
  CHECK(cookie_of("t", {"dev--a", {}, "/preview/dev--a", "/"}, minute, true) ==
        "cellar_preview=t; Path=/preview/dev--a/; Max-Age=60; HttpOnly; SameSite=Lax");
}

TEST_CASE("what a visitor says as if a proxy had said it is taken out, however it is written") {
  http::Fields fields = {{"X-Forwarded-For", "6.6.6.6"},
                         {"X_Forwarded_For", "6.6.6.6"},
                         {"x-forwarded_FOR", "6.6.6.6"},
                         {"X_Real_IP", "6.6.6.6"},
                         {"Forwarded", "for=6.6.6.6"},
                         {"X_Forwarded_Proto", "https"},
                         {"X-Forwarded-Ssl", "on"},
                         {"X-Forwarded-Protocol", "ssl"},
                         {"X-Forwarded-Scheme", "http"},
                         {"X-Forwarded-User", "me"},
                         {"X_Own", "1"},
                         {"Host", "a"}};
  remove_not_believed(fields);
  CHECK(fields == http::Fields{{"X-Forwarded-User", "me"}, {"X_Own", "1"}, {"Host", "a"}});
}

}  // namespace cellar::api
