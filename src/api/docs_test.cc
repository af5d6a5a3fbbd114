#include "api/docs.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::api {

TEST_CASE("the reference names the API's operations, the list leads to the guide's pages") {
  const http::Response reference = document("/docs");
  CHECK(reference.content_type == "text/html; charset=utf-8");
  CHECK(reference.body.find("id=\"createCell\"") != std::string::npos);
  CHECK(document("/llms.txt").body.starts_with("# Cellar\n"));
  CHECK(document("/docs/guide/getting-started.md").content_type == "text/markdown; charset=utf-8");
}

TEST_CASE("a page that is not there is named, and nothing else can be had") {
  for (const char* path :
       {"/docs/none.md", "/docs/../llms.txt", "/llms.txt/", "/docs/guide", "/"}) {
    CAPTURE(path);
    CHECK_THROWS_AS(document(path), Error);
  }
}

}  // namespace cellar::api
