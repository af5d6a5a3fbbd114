#include "api/dashboard.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::api {

TEST_CASE("gzip is for who lists it, with a weight that is not 0") {
  for (const char* taken : {"gzip", "br, GZIP", "deflate,gzip;q=0.5", "gzip;q=1.0, *;q=0"}) {
    CAPTURE(taken);
    CHECK(takes_gzip(taken));
  }
  for (const char* refused : {"", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip", "*"}) {
    CAPTURE(refused);
    CHECK_FALSE(takes_gzip(refused));
  }
}

TEST_CASE("the page is always asked for anew, and nothing outside of it may speak in it") {
  http::Request request;
  const http::Response page = dashboard_file(request, "index.html");
  CHECK(page.status == 200);
  CHECK(page.content_type == "text/html; charset=utf-8");
  std::map<std::string, std::string> fields(page.headers.begin(), page.headers.end());
  CHECK(fields["Cache-Control"] == "no-cache");
  CHECK(fields["Content-Security-Policy"].starts_with("default-src 'self'; style-src "));

  request.headers["if-none-match"] = fields["ETag"];
  const http::Response again = dashboard_file(request, "index.html");
  CHECK(again.status == 304);
  CHECK(again.body.empty());
}

TEST_CASE("a file that the dashboard does not have is named") {
  for (const char* name : {"assets/none.js", "../secret", "", "assets/"}) {
    CAPTURE(name);
    try {
      dashboard_file({}, name);
      FAIL("served");
    } catch (const Error& error) {
      CHECK(error.reason() == "asset_not_found");
    }
  }
}

}  // namespace cellar::api
