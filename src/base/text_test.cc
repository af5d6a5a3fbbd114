#include "base/text.h"

#include <doctest/doctest.h>

#include <vector>

namespace cellar {

TEST_CASE("bytes become hexadecimal and base64, and base64 comes back") {
  CHECK(to_hex(std::string("\x00\xff", 2)) == "00ff");
  for (const std::string bytes : {"", "a", "ab", "abc", "abcd"}) {
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
  CHECK(to_base64("abcd") == "YWJjZA==");
  CHECK_FALSE(from_base64("a").has_value());
  CHECK_FALSE(from_base64("YW=j").has_value());
}

TEST_CASE("a text is cut between its characters") {
  const std::string text = "a\xf0\x9f\x98\x80z";
  const std::vector<std::size_t> places = {0, 1, 1, 1, 1, 5, 6, 6};
  for (std::size_t at = 0; at < places.size(); ++at) CHECK(utf8_floor(text, at) == places[at]);
  CHECK(utf8_floor(std::string(9, '\x80'), 8) == 5);
}

TEST_CASE("UTF-8 is told from other bytes, overlong forms and surrogates included") {
  CHECK(is_valid_utf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"));
  CHECK_FALSE(is_valid_utf8("\xff"));
  const std::string long_text(19, 'a');
  CHECK(is_valid_utf8(long_text));
  for (std::size_t at = 0; at < long_text.size(); ++at) {
    std::string broken = long_text;
    broken[at] = '\xff';
    CHECK_FALSE(is_valid_utf8(broken));
    CHECK(is_valid_utf8(long_text.substr(at) + "\xc3\xbc" + long_text));
  }
  CHECK_FALSE(is_valid_utf8("\xc0\xaf"));
  CHECK_FALSE(is_valid_utf8("\xed\xa0\x80"));
  CHECK_FALSE(is_valid_utf8("\xe2\x82"));
}

TEST_CASE("control characters are those of ASCII") {
  for (const char c : {'\0', '\t', '\n', '\x1b', '\x1f', '\x7f'}) CHECK(is_control(c));
  for (const char c : {' ', 'a', '~', '\x80', '\xff'}) CHECK_FALSE(is_control(c));
}

TEST_CASE("text is split, trimmed and read as numbers") {
  CHECK(split("a//b", '/') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(trim(" x\r\n") == "x");
  CHECK(parse_int("-12") == -12);
  CHECK_FALSE(parse_int("12x").has_value());
  CHECK_FALSE(parse_int("99999999999999999999").has_value());
}

}  // namespace cellar
