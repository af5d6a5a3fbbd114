#include "cell/output_room.h"

#include <doctest/doctest.h>

#include <optional>

namespace cellar::cell {

TEST_CASE("a cell has so much room for output, and all cells together") {
  OutputRoom all(100);
  OutputRoom one(80, &all, 0);
  OutputRoom other(80, &all, 0);
  std::optional<OutputRoom::Held> first(one);
  OutputRoom::Held second(one);
  OutputRoom::Held third(other);
  CHECK(first->take(50) == 50);
  CHECK(second.take(50) == 30);  // of the cell
  CHECK(third.take(50) == 20);   // of all
  CHECK(second.take(1) == 0);
  first.reset();
  CHECK(third.take(100) == 50);
  CHECK(second.take(1) == 0);  // The other cell has it now.
}

TEST_CASE("each command has room of its own, whatever others hold") {
  OutputRoom all(100);
  OutputRoom one(100, &all, 10);
  OutputRoom other(100, &all, 10);
  OutputRoom::Held first(one);
  CHECK(first.take(200) == 110);
  std::optional<OutputRoom::Held> second(other);
  CHECK(second->take(4) == 4);
  CHECK(second->take(50) == 6);
  CHECK(second->take(1) == 0);
  second.reset();  // What was its own is not given back to all.
  OutputRoom::Held third(other);
  CHECK(third.take(50) == 10);
}

}  // namespace cellar::cell
