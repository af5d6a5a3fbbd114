#include "api/exposition.h"

#include <doctest/doctest.h>

namespace cellar::api {

TEST_CASE("a family has its samples behind it, and labels are escaped") {
  Exposition text;
  text.family("cellar_cells", "gauge", "Cells by state");
  text.sample({{"state", "a\"b\\c\nd"}}, std::uint64_t{3});
  text.sample({}, 0.25);
  CHECK(text.take() ==
        "# HELP cellar_cells Cells by state\n# TYPE cellar_cells gauge\n"
        "cellar_cells{state=\"a\\\"b\\\\c\\nd\"} 3\ncellar_cells 0.25\n");
}

TEST_CASE("a histogram's classes include those below, and what took longest is in the last") {
  Histogram times;
  times.observe(std::chrono::microseconds(500));  // the end of the first class is in it
  times.observe(std::chrono::milliseconds(3));
  times.observe(std::chrono::seconds(100));
  Exposition text;
  text.family("t_seconds", "histogram", "T");
  text.sample({{"a", "b"}}, times);
  const std::string all = text.take();
  const auto has = [&](const char* line) { return all.find(line) != all.npos; };
  CHECK(has("t_seconds_bucket{a=\"b\",le=\"0.0005\"} 1\n"));
  CHECK(has("t_seconds_bucket{a=\"b\",le=\"0.0025\"} 1\n"));
  CHECK(has("t_seconds_bucket{a=\"b\",le=\"0.005\"} 2\n"));
  CHECK(has("t_seconds_bucket{a=\"b\",le=\"30\"} 2\n"));
  CHECK(has("t_seconds_bucket{a=\"b\",le=\"+Inf\"} 3\n"));
  CHECK(has("t_seconds_count{a=\"b\"} 3\n"));
  CHECK(has("t_seconds_sum{a=\"b\"} 100.0035\n"));
}

}  // namespace cellar::api
