#include "api/cors.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::api {

TEST_CASE("only pages of an origin that is listed get leave, and are answered before they ask") {
  const std::vector<std::string> origins = {"https://app.example.com"};
  http::Request request{.method = "OPTIONS", .path = "/api/v1/cells"};
  request.headers = {{"origin", "https://app.example.com"},
                     {"access-control-request-method", "PUT"}};
  CHECK(preflight(origins, request)->status == 204);
  CHECK(cors_fields(origins, request)[1].second == "https://app.example.com");
  // Who cannot read which run a stream is of cannot tell that it failed, nor go on with it.
  CHECK(cors_fields(origins, request)[2].second.ends_with("X-Cellar-Run"));
  CHECK(cors_fields({}, request).empty());
  CHECK_FALSE(preflight({}, request));
  for (const char* other : {"https://app.example.com.evil.org", "http://app.example.com", "null"}) {
    request.headers["origin"] = other;
    CHECK_FALSE(preflight(origins, request));
    CHECK(cors_fields(origins, request) == http::Fields{{"Vary", "Origin"}});
  }
  request.headers = {{"origin", "https://app.example.com"}};
  CHECK_FALSE(preflight(origins, request));  // An OPTIONS of another kind.
}

TEST_CASE("an origin is a scheme and a host") {
  for (const char* good : {"https://a.org", "http://localhost:3000", "http://[::1]:80"}) {
    CHECK_NOTHROW(check_origin(good));
  }
  for (const char* bad :
       {"", "*", "a.org", "https://", "https://a.org/", "HTTPS://a.org", "null"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(check_origin(bad), Error);
  }
}

}  // namespace cellar::api
