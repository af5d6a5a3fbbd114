#include "cell/output_room.h"

#include <doctest/doctest.h>

#include <optional>

namespace cellar::cell {

TEST_CASE("a cell has so much room for output, and all cells together") {
  OutputRoom all(100);
  OutputRoom one(80, &all);
  OutputRoom other(80, &all);
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

}  // namespace cellar::cell
