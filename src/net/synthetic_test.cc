#include "net/synthetic.h"

#include <doctest/doctest.h>

namespace cellar::net {

TEST_CASE("a name keeps its synthetic address, and the address leads back to the name") {
  SyntheticNames names;
  const auto first = names.address_of("a.test");
  const auto second = names.address_of("b.test");
  CHECK(first.to_string() == "198.18.1.0");
  CHECK(second.to_string() == "198.18.1.1");
  CHECK(names.address_of("a.test") == first);
  CHECK(names.name_of(first) == "a.test");
  CHECK(names.name_of(second) == "b.test");
  CHECK(names.size() == 2);
}

TEST_CASE("other addresses stand for no name") {
  SyntheticNames names;
  names.address_of("a.test");
  for (const char* text : {"198.18.0.255", "198.18.1.1", "198.20.0.0", "10.0.0.1", "::1"}) {
    CAPTURE(text);
    CHECK(names.name_of(asio::ip::make_address(text)) == std::nullopt);
  }
  CHECK(is_synthetic(asio::ip::make_address("198.18.0.0")));
  CHECK(is_synthetic(asio::ip::make_address("198.19.255.255")));
  CHECK_FALSE(is_synthetic(asio::ip::make_address("198.20.0.0")));
  CHECK_FALSE(is_synthetic(asio::ip::make_address("::ffff:198.18.0.1")));
}

TEST_CASE("a full table gives a new name the address that was not asked for the longest time") {
  SyntheticNames names(2);
  const auto a = names.address_of("a.test");
  const auto b = names.address_of("b.test");
  names.address_of("a.test");
  CHECK(names.address_of("c.test") == b);
  CHECK(names.name_of(b) == "c.test");
  CHECK(names.name_of(a) == "a.test");
  CHECK(names.address_of("b.test") == a);
  CHECK(names.size() == 2);
}

TEST_CASE("addresses that go from name to name always lead to the latest one") {
  SyntheticNames names(3);
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::string(static_cast<std::size_t>(20 + i % 7), 'n') + ".test";
    const auto address = names.address_of(name);
    CHECK(names.name_of(address) == name);
    CHECK(names.address_of(name) == address);
  }
  CHECK(names.size() == 3);
}

TEST_CASE("all 65536 names of a cell have an address of 198.18.0.0/15") {
  SyntheticNames names;
  asio::ip::address_v4 last;
  for (std::size_t i = 0; i < SyntheticNames::kNamesMax; ++i) {
    last = names.address_of("n" + std::to_string(i) + ".test");
  }
  CHECK(last.to_string() == "198.19.0.255");
  CHECK(names.address_of("one-more.test").to_string() == "198.18.1.0");
  CHECK(names.size() == SyntheticNames::kNamesMax);
}

}  // namespace cellar::net
