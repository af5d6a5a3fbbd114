#include "cell/mismatch.h"

#include <doctest/doctest.h>

#include "json/json.h"

namespace cellar::cell {
namespace {

std::string cause_of(const std::string& expected, const std::string& got) {
  const std::string detail =
      R"({"expected":)" + expected + R"(,"got":)" + got + R"(,"matched":[]})";
  const json::Value explained = json::parse(explain_mismatch(detail, 7));
  CHECK(explained.find("ordinal")->as_int() == 7);
  CHECK(explained.find("matched")->is_array());
  return explained.find("cause")->as_string();
}

}  // namespace

TEST_CASE("a mismatch is told with its place and its likely cause") {
  const std::string at = R"({"k":"step","n":"at 1764490000123","fp":"a"})";
  CHECK(cause_of(at, R"({"k":"step","n":"at 1764490000456","fp":"a"})").starts_with("the name"));
  CHECK(
      cause_of(at, R"({"k":"step","n":"at 1764490000123","fp":"b"})").starts_with("the arguments"));
  CHECK(cause_of(at, R"({"k":"nothing","n":"the code waits","fp":""})").find("waits") !=
        std::string::npos);
  for (const char* other :
       {R"({"k":"shell","n":"at 1764490000456"})", R"({"k":"step","n":"b"})", "1"}) {
    CHECK(cause_of(at, other).find("another way") != std::string::npos);
  }
}

TEST_CASE("a mismatch is told in words, with both sides") {
  const auto words = [](const std::string& got, const std::string& matched) {
    const std::string detail = R"({"expected":{"k":"step","n":"one","fp":"1"},"got":)" + got +
                               R"(,"matched":)" + matched + "}";
    const json::Value explained = json::parse(explain_mismatch(detail, 7));
    const std::string message = explained.find("message")->as_string();
    const std::string cause = ". Likely " + explained.find("cause")->as_string();
    REQUIRE(message.ends_with(cause));
    return message.substr(0, message.size() - cause.size());
  };
  CHECK(words(R"({"k":"step","n":"two","fp":""})", R"([{"o":1,"k":"now","n":""}])") ==
        "the journal holds step \"one\", and the agent asks for step \"two\"; the last that was "
        "the same: now");
  CHECK(words(R"({"k":"step","n":"one","fp":"2"})", "[]") ==
        "the journal holds step \"one\", and the agent asks for it with other arguments");
  CHECK(words(R"({"k":"nothing","n":"the code waits","fp":""})", "[]") ==
        "the journal holds step \"one\", and the agent waits without asking for it");
  CHECK(words("1", "[]") == "the journal holds step \"one\", and the agent asks for something");
}

TEST_CASE("of a mismatch as much is kept as is shown, whatever an agent says") {
  const std::string name(3000, 'x');
  const std::string side = R"({"k":"step","n":")" + name + R"(","fp":"a","more":")" + name + "\"}";
  std::string matched = side;
  for (int i = 0; i < 9; ++i) matched += "," + side;
  const std::string explained = explain_mismatch(
      R"({"expected":)" + side + R"(,"got":)" + side + R"(,"matched":[)" + matched + "]}", 7);
  CHECK(explained.size() < 11 * 1100);
  const json::Value detail = json::parse(explained);
  CHECK(detail.find("got")->find("n")->as_string() == std::string(1024, 'x') + "…");
  CHECK(detail.find("got")->find("more") == nullptr);
  CHECK(detail.find("matched")->as_array().size() == 5);
  CHECK(explain_mismatch("\"" + std::string(20'000, 'x') + "\"", 1).find("more of what differs") !=
        std::string::npos);
}

TEST_CASE("what an agent says in the place of a mismatch is kept as it is") {
  for (const char* other : {"", "[", "1", R"({"expected":1})", R"({"message":"x"})"}) {
    CHECK(explain_mismatch(other, 1) == other);
  }
}

}  // namespace cellar::cell
