#include "api/conditions.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::api {

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

TEST_CASE("a list of tags is read as it is, and what is no tag names nothing") {
  using Tags = std::vector<std::string>;
  CHECK(parse_tags("\"a\"").tags == Tags{"\"a\""});
  CHECK(parse_tags("W/\"a\" , \"b,c\"").tags == Tags{"W/\"a\"", "\"b,c\""});
  CHECK(parse_tags(" * ").any);
  for (const char* none : {"", "a", "\"", "\"a", "**", "w/"}) {
    CAPTURE(none);
    CHECK(parse_tags(none).tags.empty());
    CHECK_FALSE(parse_tags(none).any);
  }
  CHECK_FALSE(names_tag("\"*\"", "\"a\""));
}

TEST_CASE("a condition holds for the very file that it names, or for none") {
  const auto refuses = [](const char* match, const char* none_match,
                          const std::optional<std::string>& tag) {
    http::Request request;
    if (match != nullptr) request.headers["if-match"] = match;
    if (none_match != nullptr) request.headers["if-none-match"] = none_match;
    try {
      cell::require(conditions_of(request), "f", tag);
      return false;
    } catch (const Error& error) {
      CHECK(error.reason() == "precondition_failed");
      return true;
    }
  };
  const std::string a = "\"a\"";
  CHECK_FALSE(refuses(nullptr, nullptr, std::nullopt));
  CHECK_FALSE(refuses("\"b\", \"a\"", nullptr, a));
  CHECK_FALSE(refuses("*", nullptr, a));
  CHECK_FALSE(refuses("*", nullptr, ""));  // a folder
  CHECK(refuses("*", nullptr, std::nullopt));
  CHECK(refuses("\"a\"", nullptr, std::nullopt));
  CHECK(refuses("\"a\"", nullptr, ""));
  CHECK(refuses("\"b\"", nullptr, a));
  CHECK(refuses("nonsense", nullptr, a));
  CHECK(refuses("W/\"a\"", nullptr, a));
  CHECK(refuses("W/\"a\"", nullptr, "W/\"a\""));  // It may have changed unseen.
  CHECK_FALSE(refuses(nullptr, "*", std::nullopt));
  CHECK(refuses(nullptr, "*", a));
  CHECK(refuses(nullptr, "*", ""));
  CHECK(refuses(nullptr, "W/\"a\"", a));
  CHECK_FALSE(refuses(nullptr, "\"b\"", a));
}

}  // namespace cellar::api
