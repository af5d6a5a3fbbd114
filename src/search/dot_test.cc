#include "search/dot.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "search/model.h"

namespace cellar::search {
namespace {

std::vector<std::int32_t> dots(Instructions instructions, const std::vector<std::int8_t>& query,
                               const std::vector<std::int8_t>& rows) {
  std::vector<std::int32_t> out(rows.size() / kDimensions + 1, 0x5A5A5A5A);
  dot_products(instructions, query.data(), rows.data(), out.size() - 1, out.data());
  CHECK(out.back() == 0x5A5A5A5A);  // Nothing behind the last is written.
  return out;
}

void check_all_agree(const std::vector<std::int8_t>& query, const std::vector<std::int8_t>& rows) {
  const auto expected = dots(Instructions::plain, query, rows);
  for (const Instructions instructions : {Instructions::avx2, Instructions::avx512}) {
    if (!is_supported(instructions)) continue;
    CAPTURE(static_cast<int>(instructions));
    CHECK(dots(instructions, query, rows) == expected);
  }
}

}  // namespace

TEST_CASE("every way to multiply vectors gives the same integers") {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> number(-127, 127);
  const auto draw = [&](std::size_t count) {
    std::vector<std::int8_t> out(count * kDimensions);
    for (auto& value : out) value = static_cast<std::int8_t>(number(random));
    return out;
  };
  for (const std::size_t count : {0, 1, 2, 3, 511, 512, 513}) {
    check_all_agree(draw(1), draw(count));
  }
}

TEST_CASE("vectors of the largest numbers do not overflow") {
  for (const int value : {-127, 127}) {
    const std::vector<std::int8_t> query(kDimensions, static_cast<std::int8_t>(value));
    const std::vector<std::int8_t> rows(3 * kDimensions, 127);
    CHECK(dots(Instructions::plain, query, rows)[2] == 128 * 127 * value);
    check_all_agree(query, rows);
  }
}

TEST_CASE("a processor has what is chosen for it, and plain instructions always") {
  CHECK(is_supported(Instructions::plain));
  CHECK(is_supported(best_instructions()));
}

}  // namespace cellar::search
