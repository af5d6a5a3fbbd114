#include "sys/splice.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

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

TEST_CASE("pipes leave a half of the descriptors to others") {
  struct rlimit allowed{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &allowed) == 0);
  auto first = make_splice_pipe(1 << 16);
  REQUIRE(first);
  const auto number = static_cast<rlim_t>(first->write_end.get());
  struct rlimit few = allowed;
  few.rlim_cur = 2 * number + 8;  // Two more fit, or three.
  ::setrlimit(RLIMIT_NOFILE, &few);
  std::vector<Pipe> pipes;
  while (auto pipe = make_splice_pipe(1 << 16)) pipes.push_back(std::move(*pipe));
  ::setrlimit(RLIMIT_NOFILE, &allowed);
  CHECK(pipes.size() >= 1);
  CHECK(pipes.size() <= 2);
  CHECK(make_splice_pipe(1 << 16));
}

}  // namespace cellar::sys
