#include "search/model.h"

#include <doctest/doctest.h>

#include <string>

namespace cellar::search {
namespace {

// The words whose rows stand for `wanted`, each followed by a space.
std::string pieces_of(std::string_view wanted) {
  std::vector<RowId> rows;
  model::append_rows(wanted, rows);
  std::string out;
  for (const RowId row : rows) out.append(model::word(row)).append(" ");
  return out;
}

}  // namespace

TEST_CASE("each of the model's words is found, and nothing else") {
  for (std::size_t id = 0; id < model::kWordCount; ++id) {
    CHECK(model::find(model::word(static_cast<RowId>(id))) == static_cast<RowId>(id));
  }
  CHECK(model::word(0) == "the");
  CHECK_FALSE(model::find(""));
  CHECK_FALSE(model::find("If"));
  CHECK_FALSE(model::find("zzqqzz"));
  CHECK_FALSE(model::find(std::string(1000, 'a')));
}

TEST_CASE("a word that the model does not know is cut into the longest that it knows") {
  CHECK(pieces_of("config") == "config ");
  CHECK(pieces_of("~~config~~") == "config ");
  CHECK(pieces_of("parserconfigs") == "parser configs ");
  CHECK(pieces_of("~~c").empty());  // A piece has three letters.
  CHECK(pieces_of("").empty());
  CHECK(pieces_of("\xC3\xA4\xC3\xB6\xC3\xBC").empty());
  CHECK(pieces_of("42").empty());
}

TEST_CASE("rows have numbers and a scale that is a number") {
  bool in_range = true;
  bool any = false;
  for (std::size_t id = 0; id < model::kWordCount; ++id) {
    CHECK(model::scale_of(static_cast<RowId>(id)) > 0);
    CHECK(model::scale_of(static_cast<RowId>(id)) < 1000);
    for (std::size_t k = 0; k < kDimensions; ++k) {
      in_range = in_range && model::row(static_cast<RowId>(id))[k] >= -127;
      any = any || model::row(static_cast<RowId>(id))[k] != 0;
    }
  }
  CHECK(in_range);
  CHECK(any);
}

}  // namespace cellar::search
