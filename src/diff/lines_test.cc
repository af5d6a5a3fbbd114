#include "diff/lines.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <utility>

namespace cellar::diff {
namespace {

using Lines = std::vector<std::string_view>;

std::size_t edit_count(const Edits& edits) {
  const auto count = [](const std::vector<bool>& flags) {
    return static_cast<std::size_t>(std::count(flags.begin(), flags.end(), true));
  };
  return count(edits.removed) + count(edits.added);
}

Lines kept(const Lines& lines, const std::vector<bool>& edited) {
  Lines out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!edited[i]) out.push_back(lines[i]);
  }
  return out;
}

// By the table of longest common parts.
std::size_t fewest_edits(const Lines& a, const Lines& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t corner = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t best = a[i - 1] == b[j - 1] ? corner : std::min(row[j], row[j - 1]) + 1;
      corner = std::exchange(row[j], best);
    }
  }
  return row[b.size()];
}

Lines random_lines(std::mt19937& random, std::size_t size_max, unsigned kinds) {
  static const std::string kLetters = "abcdefghijklmnopqrstuvwxyz";
  Lines lines(random() % (size_max + 1));
  for (auto& line : lines) line = std::string_view(kLetters).substr(random() % kinds, 1);
  return lines;
}

}  // namespace

TEST_CASE("lines keep their ends, and the last one may have none") {
  CHECK(lines_of("").empty());
  CHECK(lines_of("a\n\nb") == Lines{"a\n", "\n", "b"});
  CHECK(lines_of("a\n") == Lines{"a\n"});
}

TEST_CASE("what is kept of two texts is the same, and the edits are the fewest") {
  std::mt19937 random(7);
  for (int round = 0; round < 4000; ++round) {
    CAPTURE(round);
    const unsigned kinds = 1 + random() % 6;
    const Lines a = random_lines(random, 24, kinds);
    const Lines b = random_lines(random, 24, kinds);
    const Edits edits = compare(a, b);
    REQUIRE(kept(a, edits.removed) == kept(b, edits.added));
    REQUIRE(edit_count(edits) == fewest_edits(a, b));
  }
}

TEST_CASE("texts with more edits than the effort has are compared all the same") {
  std::mt19937 random(8);
  std::vector<std::string> words;
  for (int i = 0; i < 40; ++i) words.push_back("line " + std::to_string(i) + "\n");
  const auto text = [&] {
    Lines lines;
    for (int i = 0; i < 4 * kEffortMax; ++i) lines.push_back(words[random() % words.size()]);
    return lines;
  };
  const Lines a = text();
  const Lines b = text();
  REQUIRE(fewest_edits(a, b) > 2 * kEffortMax);  // More than both searches together take.
  const Edits edits = compare(a, b);
  CHECK(kept(a, edits.removed) == kept(b, edits.added));
  CHECK(edit_count(edits) < a.size() + b.size());
}

}  // namespace cellar::diff
