#include "sys/splice.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

namespace cellar::sys {

TEST_CASE("bytes go from one end to the other, and none is said to where nothing is there") {
  using State = Spliced::State;
  auto source = make_splice_pipe(1 << 16);
  auto target = make_splice_pipe(1 << 16);
  REQUIRE((source && target));
  CHECK(splice(source->read_end.get(), target->write_end.get(), 10).state == State::would_block);
  REQUIRE(::write(source->write_end.get(), "hello", 5) == 5);
  const Spliced some = splice(source->read_end.get(), target->write_end.get(), 3);
  CHECK(some.state == State::moved);
  CHECK(some.bytes == 3);
  source->write_end.reset();
  CHECK(splice(source->read_end.get(), target->write_end.get(), 10).bytes == 2);
  CHECK(splice(source->read_end.get(), target->write_end.get(), 10).state == State::ended);
  char bytes[6] = {};
  CHECK(::read(target->read_end.get(), bytes, 5) == 5);
  CHECK(std::string(bytes) == "hello");
  CHECK(splice(-1, target->write_end.get(), 10).state == State::failed);
}

}  // namespace cellar::sys
