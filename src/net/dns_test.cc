#include "net/dns.h"

#include <doctest/doctest.h>

namespace cellar::net {
namespace {

using std::string_literals::operator""s;

// An A query for Example.com, recursion desired, with an EDNS record behind it.
const std::string kHead = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"s;
const std::string kName =
    "\x07"
    "Example\x03"
    "com\x00"s;
const std::string kTypeA = "\x00\x01\x00\x01"s;
const std::string kEdns = "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"s;
const std::string kQuery = kHead + kName + kTypeA + kEdns;

std::string replaced(std::size_t offset, const std::string& bytes) {
  std::string query = kQuery;
  return query.replace(offset, bytes.size(), bytes);
}

}  // namespace

TEST_CASE("a query is read: id, name, type and the bytes of its question") {
  const auto query = decode_dns_query(kQuery);
  REQUIRE(query.has_value());
  CHECK(query->id == 0x1234);
  CHECK(query->recursion_desired);
  CHECK(query->name == "Example.com");
  CHECK(query->type == DnsType::a);
  CHECK(query->question == kName + kTypeA);
  CHECK(decode_dns_query(kHead + kName + "\x00\x1C\x00\x01"s)->type == DnsType::aaaa);
  CHECK(decode_dns_query(kHead + kName + "\x00\x0F\x00\x01"s)->type == DnsType::other);
  CHECK(decode_dns_query(kHead + "\x00\x00\x02\x00\x01"s)->name.empty());
}

TEST_CASE("an answer repeats the question and holds one address for 60 seconds, or nothing") {
  const auto query = *decode_dns_query(kQuery);
  const auto address = boost::asio::ip::make_address_v4("198.18.1.2");
  CHECK(encode_dns_answer(query, address) ==
        "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"s + kName + kTypeA +
            "\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\xC6\x12\x01\x02"s);
  CHECK(encode_dns_answer(query, DnsCode::refused) ==
        "\x12\x34\x81\x85\x00\x01\x00\x00\x00\x00\x00\x00"s + kName + kTypeA);
  CHECK(encode_dns_answer(query, DnsCode::no_error)[3] == '\x80');
  CHECK(encode_dns_answer(query, DnsCode::nx_domain)[3] == '\x83');
}

TEST_CASE("a query that is cut anywhere is no query") {
  const std::string whole = kHead + kName + kTypeA;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode_dns_query(std::string(whole, 0, size)).has_value());
  }
  CHECK(decode_dns_query(whole).has_value());
}

TEST_CASE("what is not one question of a standard query is not answered") {
  CHECK_FALSE(decode_dns_query(replaced(2, "\x81\x00"s)));  // an answer
  CHECK_FALSE(decode_dns_query(replaced(2, "\x29\x00"s)));  // an update
  CHECK_FALSE(decode_dns_query(replaced(4, "\x00\x00"s)));
  CHECK_FALSE(decode_dns_query(replaced(4, "\x00\x02"s)));
  CHECK_FALSE(decode_dns_query(kHead + kName + "\x00\x01\x00\x03"s));  // class CHAOS
  CHECK_FALSE(decode_dns_query(kHead + "\xC0\x0C" + kTypeA));          // a pointer to itself
  CHECK_FALSE(decode_dns_query(kHead + "\x40" + std::string(64, 'a') + "\0"s + kTypeA));
  std::string long_name;
  for (int i = 0; i < 5; ++i) long_name += "\x3F" + std::string(63, 'a');
  CHECK_FALSE(decode_dns_query(kHead + long_name + "\0"s + kTypeA));
}

TEST_CASE("bytes that could be taken for other names are escaped") {
  const auto query = decode_dns_query(kHead +
                                      "\x05"
                                      "a.b\\\n\x03"
                                      "com\x00"s +
                                      kTypeA);
  REQUIRE(query.has_value());
  CHECK(query->name == "a\\046b\\092\\010.com");
}

TEST_CASE("a message in TCP has its length before it") {
  CHECK(frame_dns("abc") ==
        "\x00\x03"
        "abc"s);
  CHECK(unframe_dns("\x00\x03"
                    "abcd"s) == "abc");
  CHECK(unframe_dns("\x00\x00"s) == "");
  for (const std::string& cut : {""s, "\x00"s, "\x00\x03"s,
                                 "\x00\x03"
                                 "ab"s}) {
    CHECK_FALSE(unframe_dns(cut).has_value());
  }
}

}  // namespace cellar::net
