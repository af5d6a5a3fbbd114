#include "search/vectors.h"

#include <doctest/doctest.h>

#include <string>

namespace cellar::search {
namespace {

Vector vector_of_words(std::initializer_list<std::string_view> words) {
  std::vector<RowCount> counts;
  for (const auto word : words) counts.push_back({*model::find(word), 1});
  return vector_of(counts);
}

double cosine(const Vector& a, const Vector& b) {
  std::int32_t dot = 0;
  dot_products(Instructions::plain, a.values.data(), b.values.data(), 1, &dot);
  return static_cast<double>(dot) * static_cast<double>(a.scale) * static_cast<double>(b.scale);
}

std::string nearest(const VectorField& field, const Vector& query, std::size_t count,
                    float cosine_min = .001F) {
  std::string out;
  for (const auto& near : field.nearest(query, count, cosine_min, [](DocId) { return true; })) {
    out += std::to_string(near.doc) + " ";
  }
  return out;
}

}  // namespace

TEST_CASE("a vector has the length 1, and points where its words do") {
  const Vector vector = vector_of_words({"parse", "config", "file"});
  CHECK(cosine(vector, vector) == doctest::Approx(1).epsilon(.01));
  CHECK(cosine(vector, vector_of_words({"read", "settings"})) >
        cosine(vector, vector_of_words({"draw", "rectangle"})));
  const Vector twice = vector_of({{*model::find("parse"), 2}});
  CHECK(twice.values == vector_of_words({"parse"}).values);
  CHECK(vector_of({}).scale == 0);
}

TEST_CASE("the nearest come first, and those that are equally near by number") {
  VectorField field;
  field.add(0, vector_of_words({"draw", "rectangle"}));
  field.add(1, vector_of_words({"parse", "config"}));
  field.add(2, Vector());
  field.add(4, vector_of_words({"parse", "config"}));  // 3 is left out: it has no vector.
  const Vector query = vector_of_words({"parse", "config"});
  CHECK(nearest(field, query, 2) == "1 4 ");
  CHECK(nearest(field, query, 1) == "1 ");
  CHECK(nearest(field, query, 0).empty());
  CHECK(nearest(field, query, 10, .9F) == "1 4 ");
  CHECK(nearest(field, Vector(), 10).empty());
  const auto wanted = field.nearest(query, 1, .1F, [](DocId doc) { return doc != 1; });
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].doc == 4);
  field.remove(1);
  CHECK(nearest(field, query, 1) == "4 ");

  field.compact({0, 9, 1, 2, 3}, 4);
  CHECK(nearest(field, query, 1) == "3 ");
  CHECK(nearest(field, vector_of_words({"rectangle"}), 1) == "0 ");
}

TEST_CASE("every way to scan gives the same ranking") {
  VectorField plain(Instructions::plain);
  VectorField fast(best_instructions());
  // As many as need several blocks, the last of them not full.
  for (DocId doc = 0; doc < 1300; ++doc) {
    const auto row = [&](DocId factor) {
      return static_cast<RowId>((doc * factor) % model::kWordCount);
    };
    const Vector vector = vector_of({{row(17), 1}, {row(91), 2}, {row(257), 1}});
    plain.add(doc, vector);
    fast.add(doc, vector);
  }
  for (const char* word : {"parse", "config", "socket", "user", "draw"}) {
    const Vector query = vector_of_words({word});
    CHECK(nearest(plain, query, 100) == nearest(fast, query, 100));
    CHECK(nearest(plain, query, 100).size() > 200);  // There is something to compare.
  }
}

}  // namespace cellar::search
