#include "sys/pipe_io.h"

#include <doctest/doctest.h>
#include <signal.h>

#include "sys/splice.h"

using namespace cellar::sys;

TEST_CASE("a pipe gives what it has, and its end once nobody writes to it any more") {
  Pipe pipe = make_splice_pipe(1 << 16).value();
  CHECK(write_pipe(pipe.write_end.get(), "hello").byte_count == 5);
  CHECK(read_pipe(pipe.read_end.get(), 2).bytes == "he");
  PipeRead rest = read_pipe(pipe.read_end.get(), 100);
  CHECK(rest.bytes == "llo");
  CHECK_FALSE(rest.has_ended);
  CHECK_FALSE(is_empty_for_good(pipe.read_end.get()));
  write_pipe(pipe.write_end.get(), "!");
  pipe.write_end.reset();
  CHECK_FALSE(is_empty_for_good(pipe.read_end.get()));
  rest = read_pipe(pipe.read_end.get(), 100);
  CHECK(rest.bytes == "!");
  CHECK(rest.has_ended);
  CHECK(is_empty_for_good(pipe.read_end.get()));
}

TEST_CASE("a pipe takes what it has room for, and nothing once nobody reads it any more") {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe pipe = make_splice_pipe(1 << 16).value();
  const std::string many(1 << 20, 'x');
  const PipeWrite some = write_pipe(pipe.write_end.get(), many);
  CHECK(some.byte_count >= 1 << 16);
  CHECK(some.byte_count < many.size());
  CHECK_FALSE(some.is_broken);
  pipe.read_end.reset();
  CHECK(write_pipe(pipe.write_end.get(), many).is_broken);
}
