#include "api/preview_files.h"

#include <doctest/doctest.h>

namespace cellar::api {

TEST_CASE("a file's type follows from its name") {
  CHECK(content_type_of("a/index.HTML") == "text/html; charset=utf-8");
  CHECK(content_type_of("app.min.js") == "text/javascript; charset=utf-8");
  CHECK(content_type_of("a.js/README") == "application/octet-stream");
}

TEST_CASE("names that begin with a dot are hidden wherever they stand") {
  for (const char* path : {".env", "a/.git/config", "..", "a/../b", ".", "a/.x/"}) {
    CHECK(is_hidden(path));
  }
  for (const char* path : {"", "a.b", ".well-known/x", "a/b"}) CHECK_FALSE(is_hidden(path));
}

}  // namespace cellar::api
