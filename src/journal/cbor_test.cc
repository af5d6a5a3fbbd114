#include "journal/cbor.h"

#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "base/text.h"

namespace cellar::journal::cbor {
namespace {

std::string hex_of(const Value& value) { return to_hex(encode(value)); }

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

bool decodes(std::string_view hex) { return decode(from_hex(hex)).has_value(); }

}  // namespace

TEST_CASE("values are written as RFC 8949 appendix A has them") {
  CHECK(hex_of(std::uint64_t{0}) == "00");
  CHECK(hex_of(std::uint64_t{23}) == "17");
  CHECK(hex_of(std::uint64_t{24}) == "1818");
  CHECK(hex_of(std::uint64_t{1000}) == "1903e8");
  CHECK(hex_of(std::uint64_t{1000000}) == "1a000f4240");
  CHECK(hex_of(std::uint64_t{1000000000000}) == "1b000000e8d4a51000");
  CHECK(hex_of(std::numeric_limits<std::uint64_t>::max()) == "1bffffffffffffffff");
  CHECK(hex_of(std::int64_t{-1}) == "20");
  CHECK(hex_of(std::int64_t{-1000}) == "3903e7");
  CHECK(hex_of(std::numeric_limits<std::int64_t>::min()) == "3b7fffffffffffffff");
  CHECK(hex_of(1.1) == "fb3ff199999999999a");
  CHECK(hex_of(std::nan("7")) == "fb7ff8000000000000");
  CHECK(hex_of(false) == "f4");
  CHECK(hex_of(true) == "f5");
  CHECK(hex_of(Null{}) == "f6");
  CHECK(hex_of(Bytes{"\x01\x02"}) == "420102");
  CHECK(hex_of("IETF") == "6449455446");
  CHECK(hex_of(Array{}) == "80");
  CHECK(hex_of(Map{{"a", std::uint64_t{1}}, {"b", Array{std::uint64_t{2}, std::uint64_t{3}}}}) ==
        "a26161016162820203");
}

TEST_CASE("the keys of a map are sorted, the shorter ones first") {
  const Map map = {{"bb", true}, {"c", true}, {"aa", true}, {"", true}};
  CHECK(hex_of(map) == "a460f56163f5626161f5626262f5");
}

TEST_CASE("text that is not UTF-8 is kept as bytes") {
  CHECK(hex_of(std::string("a\xff")) == "4261ff");
  CHECK(decode(encode(std::string("a\xff")))->as<Bytes>()->bytes == "a\xff");
}

TEST_CASE("what was encoded is decoded to the same") {
  const Value value = Map{{"list", Array{Null{}, true, -0.0, 1e300, std::int64_t{-5}}},
                          {"text", std::string(70000, 'x')},
                          {"bytes", Bytes{std::string("\0\xff", 2)}},
                          {"map", Map{{"inner", Map{}}}}};
  const auto decoded = decode(encode(value));
  REQUIRE(decoded.has_value());
  CHECK(encode(*decoded) == encode(value));
  CHECK(*decoded->find("list") == *value.find("list"));
  CHECK(decoded->find("nothing") == nullptr);
  CHECK(Value(true).find("list") == nullptr);
}

TEST_CASE("each value has one form: every other one is refused") {
  CHECK(decodes("a0"));
  CHECK_FALSE(decodes(""));
  CHECK_FALSE(decodes("1817"));                // 23 in two bytes
  CHECK_FALSE(decodes("190018"));              // 24 in three
  CHECK_FALSE(decodes("1a00000100"));          // 256 in five
  CHECK_FALSE(decodes("1b00000000ffffffff"));  // in nine
  CHECK_FALSE(decodes("580161"));              // a length in two bytes
  CHECK_FALSE(decodes("f93c00"));              // a half-precision 1.0
  CHECK_FALSE(decodes("fa3f800000"));          // a single-precision one
  CHECK_FALSE(decodes("fb7ff8000000000001"));  // another NaN
  CHECK_FALSE(decodes("f7"));                  // undefined
  CHECK_FALSE(decodes("f814"));                // false in two bytes
  CHECK_FALSE(decodes("c100"));                // a tag
  CHECK_FALSE(decodes("9f00ff"));              // indefinite length
  CHECK_FALSE(decodes("1c"));                  // reserved
  CHECK_FALSE(decodes("61ff"));                // text that is no UTF-8
  CHECK_FALSE(decodes("a2616201616101"));      // keys not sorted
  CHECK_FALSE(decodes("a2616101616102"));      // a key twice
  CHECK_FALSE(decodes("a10000"));              // a key that is no text
  CHECK_FALSE(decodes("0000"));                // something left over
  CHECK_FALSE(decodes("a26161"));              // something missing
}

TEST_CASE("nesting has a limit, and a length that promises more than there is ends at once") {
  const auto nested = [](int depth) {
    std::string hex;
    for (int i = 0; i < depth; ++i) hex += "81";
    return hex + "00";
  };
  CHECK(decodes(nested(kDepthMax)));
  CHECK_FALSE(decodes(nested(kDepthMax + 1)));
  CHECK_FALSE(decodes(nested(100000)));
  CHECK_FALSE(decodes("9bffffffffffffffff"));
  CHECK_FALSE(decodes("bbffffffffffffffff"));
  CHECK_FALSE(decodes("5bffffffffffffffff"));
  CHECK_FALSE(decodes("7bfffffffffffffff0"));
}

TEST_CASE("hostile bytes are refused, or are exactly what encode() writes") {
  const std::uint32_t seed = 20261124;
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::string valid =
      encode(Map{{"a", Array{std::uint64_t{300}, "text", 2.5}}, {"bc", Bytes{"xyz"}}});
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = valid;
    for (int changes = 0; changes < 3; ++changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (const auto value = decode(bytes)) {
      ++accepted;
      REQUIRE(encode(*value) == bytes);
    }
  }
  CHECK(accepted > 0);
}

}  // namespace cellar::journal::cbor
