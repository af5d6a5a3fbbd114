#include "net/placeholder.h"

#include <doctest/doctest.h>

#include <ctime>

namespace cellar::net {
namespace {

const std::string kPlaceholder = "cellar-secret-0123456789abcdef0123456789abcdef";

SoughtValues sought(const std::vector<std::string>& values) {
  SoughtValues all;
  for (const std::string& value : values) {
    all.push_back(std::make_shared<const SoughtValue>(value));
  }
  return all;
}

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

TEST_CASE("a value that comes back is found however it is cut, and nothing of it passed before") {
  const std::string value = "sk-live-0123456789";
  const std::string bytes = "{\"you\": \"sk-li, sk-" + value + "\"}";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    EchoScan scan(sought({"other-value", value}));
    std::string passed;
    bool found = false;
    for (std::size_t at = 0; at < bytes.size() && !found; at += size) {
      const auto piece = scan.take(std::string_view(bytes).substr(at, size));
      found = !piece;
      if (piece) passed += *piece;
    }
    CHECK(found);
    CHECK(bytes.substr(0, bytes.find(value)).starts_with(passed));
  }
}

TEST_CASE("what is kept back does not depend on what it is") {
  const std::string value = "sk-live-0123456789";
  const std::string text(40, 'x');
  std::vector<std::vector<std::size_t>> sizes;
  for (const std::size_t begun : {0, 1, 4, 17}) {
    EchoScan scan(sought({value, "sk-other"}));
    std::vector<std::size_t>& passed = sizes.emplace_back();
    const std::string piece = text.substr(begun) + value.substr(0, begun);
    passed.push_back(scan.take(piece).value().size());
    passed.push_back(scan.take("x").value().size());
    passed.push_back(scan.take(piece).value().size());
    passed.push_back(scan.let_go().size());
    passed.push_back(scan.take(piece).value().size());
  }
  for (const auto& passed : sizes) CHECK(passed == std::vector<std::size_t>{23, 1, 40, 17, 23});
}

TEST_CASE("what was let go of is still looked at with what comes behind it") {
  EchoScan scan(sought({"sk-live-0123456789"}));
  CHECK(scan.take("data: sk-livid\n") == "");
  CHECK(scan.let_go() == "data: sk-livid\n");
  CHECK(scan.take("x sk-live-01") == "");
  CHECK(scan.let_go() == "x sk-live-01");
  CHECK_FALSE(scan.take("23456789"));
}

TEST_CASE("a value is found behind beginnings of itself") {
  for (const std::string value : {"aaaaaaab", "abababac", "aabaabaaab", "abcabcabd"}) {
    CAPTURE(value);
    for (std::size_t begun = 0; begun < value.size(); ++begun) {
      const SoughtValue sought_value(value);
      CHECK(sought_value.advance(0, value.substr(0, begun) + value + "x") == value.size());
      CHECK(sought_value.advance(0, value.substr(0, begun)) == begun);
      const std::string others = value.substr(0, begun) + "-" + value.substr(1);
      CHECK(sought_value.advance(0, others) < value.size());
    }
  }
}

TEST_CASE("long values that nearly fit everywhere cost no more than others") {
  const std::string half(4096, 'a');
  EchoScan scan(sought({half + "b" + half, half + "c" + half, half + "d" + half}));
  const std::string piece(16 << 10, 'a');
  const std::clock_t since = std::clock();
  for (int i = 0; i < 200; ++i) CHECK(scan.take(piece));
  CHECK(std::clock() - since < 2 * CLOCKS_PER_SEC);  // By comparing everywhere it is 5 s.
}

}  // namespace cellar::net
