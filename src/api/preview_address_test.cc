#include "api/preview_address.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::api {

TEST_CASE("a base domain has a scheme, and its previews are right below it") {
  const PreviewDomain plain = PreviewDomain::parse("Cells.Example.com");
  CHECK(plain.origin_of("dev--a", 3000) == "https://3000--dev--a.cells.example.com");
  const PreviewDomain local = PreviewDomain::parse("cells.localhost:4750");
  CHECK(local.origin_of("dev--a", {}) == "http://dev--a.cells.localhost:4750");
  CHECK(PreviewDomain::parse("http://cells.lan").origin_of("a", {}) == "http://a.cells.lan");
  CHECK_FALSE(PreviewDomain::parse("").is_set());
  CHECK(plain.label_of("dev--a.cells.example.com") == "dev--a");
  for (const char* other : {"cells.example.com", ".cells.example.com", "a.b.cells.example.com",
                            "evilcells.example.com", "example.com"}) {
    CHECK_FALSE(plain.label_of(other));
  }
  for (const char* bad : {"a b", "ftp://x", "x:0", "x:70000", "-x", "x..y", "http://", "x/y"}) {
    CHECK_THROWS_AS(PreviewDomain::parse(bad), Error);
  }
}

TEST_CASE("a Host field is a name, whatever its case, port and final dot") {
  CHECK(host_name("A.Example.com:8080") == "a.example.com");
  CHECK(host_name("a.example.com.") == "a.example.com");
  CHECK(host_name("[::1]:80") == "[::1]");
  CHECK(host_name("[::1]") == "[::1]");
  CHECK_FALSE(host_name(" "));
}

TEST_CASE("a label with a port before the id means it, unless all of it is an id") {
  const auto none = [](std::string_view) { return false; };
  const auto all = [](std::string_view) { return true; };
  CHECK(place_of_label("dev--a", none) == PreviewPlace{"dev--a", {}, "", ""});
  CHECK(place_of_label("3000--dev--a", none) == PreviewPlace{"dev--a", 3000, "", ""});
  CHECK(place_of_label("3000--dev--a", all) == PreviewPlace{"3000--dev--a", {}, "", ""});
  for (const char* no_port : {"0--a", "03--a", "70000--a", "--a", "1x--a"}) {
    CHECK(place_of_label(no_port, none).cell_id == no_port);
  }
}

TEST_CASE("a path names the cell and may name the port") {
  CHECK(place_of_path("/preview/dev--a/3000/x/y") ==
        PreviewPlace{"dev--a", 3000, "/preview/dev--a/3000", "/x/y"});
  CHECK(place_of_path("/preview/dev--a/x") == PreviewPlace{"dev--a", {}, "/preview/dev--a", "/x"});
  CHECK(place_of_path("/preview/dev--a/") == PreviewPlace{"dev--a", {}, "/preview/dev--a", "/"});
  CHECK(place_of_path("/preview/dev--a")->path.empty());
  CHECK(place_of_path("/preview/dev--a/3000")->path.empty());
  CHECK_FALSE(place_of_path("/api/v1/cells"));
  CHECK_FALSE(place_of_path("/preview"));
}

}  // namespace cellar::api
