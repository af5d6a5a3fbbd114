#include "base/crc32c.h"

#include <doctest/doctest.h>

#include <string>

namespace cellar {

TEST_CASE("CRC-32C gives the values of RFC 3720") {
  const std::string zeros(32, '\0');
  const std::string ones(32, '\xff');
  std::string rising;
  for (int i = 0; i < 32; ++i) rising.push_back(static_cast<char>(i));
  for (const auto crc : {crc32c, crc32c_by_table}) {
    CHECK(crc(0, "") == 0);
    CHECK(crc(0, "123456789") == 0xe3069283);
    CHECK(crc(0, zeros) == 0x8a9136aa);
    CHECK(crc(0, ones) == 0x62a8ab43);
    CHECK(crc(0, rising) == 0x46dd794e);
  }
}

TEST_CASE("the table and the instruction agree at every length and alignment") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes.push_back(static_cast<char>(i * i * 7 + i));
  if (!crc32c_by_sse42(0, bytes)) MESSAGE("skipped in part: this processor has no SSE4.2");
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t size = 0; size <= 280; ++size) {
      CAPTURE(begin);
      CAPTURE(size);
      const auto part = std::string_view(bytes).substr(begin, size);
      const auto expected = crc32c_by_table(17, part);
      REQUIRE(crc32c_by_sse42(17, part).value_or(expected) == expected);
      REQUIRE(crc32c(17, part) == expected);
    }
  }
}

TEST_CASE("a checksum can be taken in pieces") {
  const std::string_view bytes = "what was said before, and what follows";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CHECK(crc32c(crc32c(0, bytes.substr(0, cut)), bytes.substr(cut)) == crc32c(0, bytes));
  }
}

}  // namespace cellar
