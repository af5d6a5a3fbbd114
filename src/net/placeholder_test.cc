#include "net/placeholder.h"

#include <doctest/doctest.h>

namespace cellar::net {
namespace {

const std::string kPlaceholder = "cellar-secret-0123456789abcdef0123456789abcdef";

}  // namespace

TEST_CASE("placeholders are all different, and found wherever they stand") {
  const std::string one = make_placeholder();
  CHECK(one.size() == kPlaceholderBytes);
  CHECK(one != make_placeholder());
  CHECK(find_placeholder("Bearer " + one + "x") == one);
  CHECK(find_placeholder("cellar-secret-" + one) == one);
}

TEST_CASE("what only looks like a placeholder is none") {
  CHECK_FALSE(find_placeholder(""));
  CHECK_FALSE(find_placeholder("cellar-secret-"));
  CHECK_FALSE(find_placeholder(kPlaceholder.substr(0, kPlaceholder.size() - 1)));
  CHECK_FALSE(find_placeholder("cellar-secret-0123456789ABCDEF0123456789ABCDEF"));
}

TEST_CASE("a placeholder is seen however the bytes are cut") {
  const std::string bytes = "GET / HTTP/1.1\r\n" + kPlaceholder + "\r\n";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    PlaceholderScan scan;
    bool seen = false;
    for (std::size_t at = 0; at < bytes.size() && !seen; at += size) {
      seen = scan.sees(std::string_view(bytes).substr(at, size));
    }
    CHECK(seen);
  }
}

TEST_CASE("many pieces without a placeholder are none together") {
  PlaceholderScan scan;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(scan.sees("cellar-secret-01234567 and so on "));
}

TEST_CASE("a value that comes back is found however it is cut, and hardly begun before") {
  const std::string value = "sk-live-0123456789";
  const std::string bytes = "{\"you\": \"sk-li, sk-" + value + "\"}";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    EchoScan scan({"other-value", value});
    std::string passed;
    bool found = false;
    for (std::size_t at = 0; at < bytes.size() && !found; at += size) {
      const auto piece = scan.take(std::string_view(bytes).substr(at, size));
      found = !piece;
      if (piece) passed += *piece;
    }
    CHECK(found);
    CHECK(passed.find("sk-live") == passed.npos);
  }
}

TEST_CASE("what does not go on as a value is passed on, at the end at the latest") {
  EchoScan scan({"sk-live-0123456789"});
  CHECK(scan.take("data: sk") == "data: sk");
  CHECK(scan.take("data: sk-liv") == "data: ");
  CHECK(scan.take("id\n") == "sk-livid\n");
  CHECK(scan.take("x sk-live-01") == "x ");
  CHECK(scan.rest() == "sk-live-01");
}

}  // namespace cellar::net
