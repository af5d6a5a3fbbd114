#include "json/json.h"

#include <doctest/doctest.h>

#include <bit>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace cellar::json {
namespace {

std::string problem_of(std::string_view text, const ParseLimits& limits = {}) {
  try {
    parse(text, limits);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    CHECK(error.reason() == "invalid_json");
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what was read is written the same, members in their order") {
  for (const std::string text :
       {R"({"b":1,"a":[true,null,"x\n\"\\"],"n":1.5})", "[18446744073709551615]",
        "[-9223372036854775808]", "[]", "{}", "\"\"", "0.1", "1e+300", "5e-324",
        "1.7976931348623157e+308", R"([[],{},[{}],{"":[]}])"}) {
    CHECK(dump(parse(text)) == text);
  }
}

TEST_CASE("what is not JSON is refused with line, column and what is wrong") {
  for (const std::string text :
       {"", " ", "{", "[1,]", "{\"a\":1}x", "nul", "01", "'x'", "[1 2]", "{a:1}", "+1", ".5", "NaN",
        "\"\n\"", "\"\\x\"", "\"\xff\"", "\xef\xbb\xbf[]", "// x\n1", "[1]]"}) {
    CAPTURE(text);
    CHECK_FALSE(problem_of(text).empty());
  }
  CHECK(problem_of("{\n  \"a\": 1,\n  \"b\": x}") ==
        "invalid JSON at line 3, column 8: syntax error");
  CHECK(problem_of("[1] 2") == "invalid JSON at line 1, column 5: something follows its end");
}

TEST_CASE("a document deeper than the limit is refused before it costs anything") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(problem_of(nested(64)).empty());
  CHECK_FALSE(problem_of(nested(65)).empty());
  CHECK_FALSE(problem_of(nested(5'000'000)).empty());
  CHECK_FALSE(problem_of(std::string(1'000'000, '[')).empty());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK_FALSE(problem_of(objects).empty());
  const ParseLimits deeper{.depth_max = 1000};
  CHECK(problem_of(nested(1000), deeper).empty());
}

TEST_CASE("a document of more values than the limit is refused") {
  const ParseLimits limits{.value_count_max = 5};
  CHECK(problem_of("[1,2,3,4]", limits).empty());
  CHECK(problem_of("[1,2,3,4,5]", limits) ==
        "invalid JSON at line 1, column 11: it holds too many values");
}

TEST_CASE("numbers keep their value, and one too large for a double is refused") {
  CHECK_FALSE(problem_of("1e400").empty());
  CHECK_FALSE(problem_of("[-1e400]").empty());
  CHECK_FALSE(problem_of("1e99999999999999999999").empty());
  CHECK_FALSE(problem_of(std::string(400, '9')).empty());
  CHECK(parse("1e-400") == Value(0.0));
  CHECK(parse("0." + std::string(400, '0') + "1e400").as_double() == doctest::Approx(0.1));
  CHECK(parse("18446744073709551616").as_double() == 0x1p64);
  // Each double comes back bit for bit, whatever the parser's own arithmetic makes of it.
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random_u64();
    const auto number = std::bit_cast<double>(bits);
    if (number - number != 0) continue;  // NaN, infinite
    REQUIRE(parse(dump(Value(number))).as_double() == number);
  }
}

TEST_CASE("surrogates that pair are one character, and lone ones become U+FFFD") {
  CHECK(parse(R"("\ud83d\ude00")") == Value("\xf0\x9f\x98\x80"));
  CHECK(parse(R"("a\ud83d")") == Value("a\xef\xbf\xbd"));
  CHECK(parse(R"("\ude00\ud83d!")") == Value("\xef\xbf\xbd\xef\xbf\xbd!"));
  CHECK(parse(R"("\ud83d\ud83d\ude00")") == Value("\xef\xbf\xbd\xf0\x9f\x98\x80"));
  CHECK(parse(R"("\\ud83d\\")") == Value("\\ud83d\\"));
  CHECK_FALSE(problem_of("\"\\ud83\"").empty());
  CHECK_FALSE(problem_of("\"\\u").empty());
  CHECK_FALSE(problem_of("\\ud83d").empty());
}

TEST_CASE("of a key that comes twice the last one counts") {
  CHECK(dump(parse(R"({"a":1,"b":2,"a":3})")) == R"({"a":3,"b":2})");
}

TEST_CASE("text is always written as UTF-8, and what JSON does not have as null") {
  CHECK(dump("a\xff"
             "b\xc3\xbc") ==
        "\"a\xef\xbf\xbd"
        "b\xc3\xbc\"");
  CHECK(dump("\xe2\x82") == "\"\xef\xbf\xbd\xef\xbf\xbd\"");
  CHECK(dump(std::string("\x00\x01\x1f\t\r", 5)) == R"("\u0000\u0001\u001f\t\r")");
  CHECK(dump(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(dump(-std::numeric_limits<double>::infinity()) == "null");
  for (int i = 0; i < 200; ++i) {
    const std::string noise = random_bytes(64);
    const std::string text = dump(noise);
    REQUIRE(is_valid_utf8(text));
    REQUIRE(parse(text).is_string());
    if (is_valid_utf8(noise)) REQUIRE(parse(text).as_string() == noise);
  }
}

TEST_CASE("for people each member stands on its line") {
  CHECK(dump_pretty(parse(R"({"a":[1,{}],"b":[]})")) ==
        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
  CHECK(dump_pretty(1) == "1");
}

TEST_CASE("a document of 10 MB is read and written whole") {
  Array rows;
  for (int i = 0; i < 100'000; ++i) {
    rows.push_back(object({{"id", i}, {"text", std::string(70, 'x')}, {"score", i / 7.0}}));
  }
  const Value document = object({{"rows", std::move(rows)}, {"text", std::string(1 << 20, '\n')}});
  const std::string text = dump(document);
  CHECK(text.size() > 10'000'000);
  CHECK(parse(text) == document);
}

}  // namespace cellar::json
