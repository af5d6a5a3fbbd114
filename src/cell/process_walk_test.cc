#include "cell/process_walk.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

namespace cellar::cell {

TEST_CASE("all who ask in the same moment are served by one look at the machine's processes") {
  asio::io_context loop(1);
  async::Pool pool(1);
  ProcessWalk walk(loop.get_executor(), pool);
  std::vector<std::shared_ptr<const ProcessWalk::Found>> seen;
  for (int i = 0; i < 3; ++i) {
    asio::co_spawn(loop, walk.latest(),
                   [&](const std::exception_ptr& failure,
                       const std::shared_ptr<const ProcessWalk::Found>& found) {
                     CHECK_FALSE(failure);
                     seen.push_back(found);
                   });
  }
  loop.run();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0] == seen[1]);
  CHECK(seen[1] == seen[2]);
}

}  // namespace cellar::cell
