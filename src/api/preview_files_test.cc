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

TEST_CASE("a range is one part of the file, or its whole, or none there is") {
  const auto part = [](std::string_view field, std::uint64_t size) {
    const AskedRange asked = parse_range(field, size);
    CHECK(asked.is == RangeIs::part);
    return asked.part;
  };
  CHECK(part("bytes=0-0", 10) == ByteRange{0, 0});
  CHECK(part("bytes=3-", 10) == ByteRange{3, 9});
  CHECK(part("bytes=3-99", 10) == ByteRange{3, 9});
  CHECK(part("bytes=-4", 10) == ByteRange{6, 9});
  CHECK(part("bytes=-40", 10) == ByteRange{0, 9});
  for (const char* none : {"bytes=10-", "bytes=-0", "bytes=11-12"}) {
    CHECK(parse_range(none, 10).is == RangeIs::unsatisfiable);
  }
  CHECK(parse_range("bytes=0-", 0).is == RangeIs::unsatisfiable);
  for (const char* whole : {"lines=1-2", "bytes=", "bytes=-", "bytes=a-", "bytes=5-3",
                            "bytes=0-1,3-4", "bytes=1-x", "bytes=--1"}) {
    CHECK(parse_range(whole, 10).is == RangeIs::whole);
  }
}

TEST_CASE("a tag is named alone, in a list, weakly, or with all") {
  CHECK(names_tag("\"a\"", "\"a\""));
  CHECK(names_tag("\"b\", W/\"a\"", "\"a\""));
  CHECK(names_tag("*", "\"a\""));
  CHECK_FALSE(names_tag("\"b\"", "\"a\""));
}

}  // namespace cellar::api
