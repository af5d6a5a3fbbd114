#include "net/address.h"

#include <doctest/doctest.h>

namespace cellar::net {
namespace {

asio::ip::address address_of(const char* text) { return asio::ip::make_address(text); }

}  // namespace

TEST_CASE("addresses that are not of the public internet are private") {
  for (const char* text : {"0.0.0.0",
                           "0.1.2.3",
                           "10.0.0.1",
                           "10.255.255.255",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.8.8.8",
                           "169.254.169.254",
                           "168.63.129.16",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.8",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "224.0.0.1",
                           "239.1.1.1",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "fc00::1",
                           "fd12::1",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "::ffff:10.0.0.1",
                           "::ffff:127.0.0.1",
                           "::127.0.0.1",
                           "64:ff9b::a00:1",
                           "64:ff9b::808:808",
                           "64:ff9b:1::1",
                           "2002:7f00:1::",
                           "2002:a00:1::1",
                           "2001::1",
                           "100::1"}) {
    CAPTURE(text);
    CHECK(is_private_address(address_of(text)));
  }
  for (const char* text :
       {"1.1.1.1",         "9.255.255.255",   "11.0.0.0",       "100.63.255.255",  "100.128.0.0",
        "126.1.1.1",       "128.0.0.1",       "169.253.1.1",    "172.15.255.255",  "172.32.0.0",
        "192.0.2.1",       "192.167.1.1",     "198.17.255.255", "198.20.0.0",      "198.51.100.1",
        "203.0.113.7",     "223.255.255.255", "::ffff:1.1.1.1", "2606:4700::1111", "2a00:1450::1",
        "2001:4860::8888", "2001:db8::1",     "2002:101:101::1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_private_address(address_of(text)));
  }
}

TEST_CASE("a network is what shares its first bits, whatever form an address has") {
  const auto network = parse_network("192.0.2.128/25");
  REQUIRE(network.has_value());
  CHECK(network->contains(address_of("192.0.2.200")));
  CHECK(network->contains(address_of("::ffff:192.0.2.200")));
  CHECK_FALSE(network->contains(address_of("192.0.2.127")));
  CHECK_FALSE(network->contains(address_of("2001:db8::1")));
  CHECK(parse_network("::ffff:192.0.2.128/121") == network);
  CHECK(parse_network("2001:db8::/33")->contains(address_of("2001:db8:7fff::1")));
  CHECK_FALSE(parse_network("2001:db8::/33")->contains(address_of("2001:db8:8000::1")));
  CHECK(parse_network("0.0.0.0/0")->contains(address_of("255.1.1.1")));
  for (const char* text :
       {"", "a", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/+1", "::/129", "fe80::1%1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_network(text).has_value());
  }
}

}  // namespace cellar::net
