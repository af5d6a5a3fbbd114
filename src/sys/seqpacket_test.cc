#include "sys/seqpacket.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a message arrives whole, with its descriptors") {
  const auto [ours, theirs] = seqpacket_pair();
  const Pipe pipe = make_pipe();
  const int fds[] = {pipe.write_end.get()};
  send_message(ours.get(), "one", fds);
  send_message(ours.get(), "two");
  const auto one = receive_message(theirs.get());
  REQUIRE(one.has_value());
  CHECK(one->bytes == "one");
  REQUIRE(one->fds.size() == 1);
  write_all(one->fds[0].get(), "x", "pipe");
  char byte = 0;
  CHECK(::read(pipe.read_end.get(), &byte, 1) == 1);
  CHECK(receive_message(theirs.get())->bytes == "two");
  bool would_block = false;
  CHECK_FALSE(receive_message(theirs.get(), Wait::no, &would_block).has_value());
  CHECK(would_block);
}

TEST_CASE("a message above the limit is refused before it is sent") {
  const auto [ours, theirs] = seqpacket_pair();
  CHECK_THROWS_AS(send_message(ours.get(), std::string(kMessageBytesMax + 1, 'x')), Error);
  CHECK(send_message(ours.get(), std::string(kMessageBytesMax, 'x')));
  CHECK(receive_message(theirs.get())->bytes.size() == kMessageBytesMax);
}

TEST_CASE("a socket is reached by a path that is longer than an address") {
  const testing::TempDir dir;
  const std::string folder = dir.file(std::string(120, 'd'));
  make_dirs(folder);
  const std::string path = folder + "/control.sock";
  CHECK_THROWS_AS(seqpacket_connect(path), Error);
  const Fd listener = seqpacket_listen(path);
  const Fd again = seqpacket_listen(path);  // A socket left behind is no obstacle.
  CHECK_NOTHROW(seqpacket_connect(path));
}

TEST_CASE("a peer that is gone ends the stream, and sending to it fails") {
  auto [ours, theirs] = seqpacket_pair();
  CHECK_FALSE(has_hung_up(ours.get()));
  theirs.reset();
  CHECK(has_hung_up(ours.get()));
  CHECK_FALSE(receive_message(ours.get()).has_value());
  CHECK_THROWS_AS(send_message(ours.get(), "x"), Error);
}

TEST_CASE("a connection is handed over at a rendezvous, and nothing else is taken for one") {
  const testing::TempDir dir;
  const std::string path = dir.file("rendezvous.sock");
  CHECK_THROWS_AS(rendezvous_connect(path), Error);
  Fd listener = rendezvous_listen(path);
  CHECK_FALSE(rendezvous_accept(listener.get()));
  const Fd client = rendezvous_connect(path);
  const Fd served = rendezvous_accept(listener.get());
  REQUIRE(served);
  send_message(client.get(), "hello");
  CHECK(receive_message(served.get())->bytes == "hello");
  // Nobody takes them: the caller is told, and does not wait.
  CHECK_THROWS_AS(
      [&] {
        for (int i = 0; i < 10'000; ++i) rendezvous_connect(path);
      }(),
      Error);
  listener.reset();
  CHECK_THROWS_AS(rendezvous_connect(path), Error);
}

}  // namespace cellar::sys
