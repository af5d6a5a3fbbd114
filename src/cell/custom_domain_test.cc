#include "cell/custom_domain.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::cell {

TEST_CASE("a domain is a host name in lower case, and nothing else") {
  CHECK(checked_domain("App.Example.COM.") == "app.example.com");
  for (const char* bad : {"", ".", "localhost", "1.2.3.4", "a..b", "-a.com", "a_.com", "a.com:80",
                          "a b.com", "*.a.com", "a.com/x"}) {
    CHECK_THROWS_AS(checked_domain(bad), Error);
  }
  CHECK_THROWS_AS(checked_domain(std::string(64, 'a') + ".com"), Error);
  CHECK(is_apex("example.com"));
  CHECK_FALSE(is_apex("app.example.com"));
}

}  // namespace cellar::cell
