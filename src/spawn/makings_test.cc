#include "spawn/makings.h"

#include <doctest/doctest.h>

#include <string>

#include "sys/seqpacket.h"

namespace cellar::spawn {
namespace {

constexpr std::chrono::milliseconds kNever{1'000'000};

// A blank that is ready, and the end of its socket where its cell-init would be.
struct Played {
  Blank blank;
  sys::Fd init;
  void say(std::string_view what) const { sys::send_message(init.get(), what); }
};

Played play() {
  auto [ours, theirs] = sys::seqpacket_pair();
  Played played{Blank(sys::Forked(), std::move(ours)), std::move(theirs)};
  played.say(sandbox::kBlankDone);
  REQUIRE(played.blank.check());
  return played;
}

Makings::Making making_of(std::uint32_t number, Played& played) {
  return {number, "/cells/" + std::to_string(number), "s-" + std::to_string(number), false,
          std::move(played.blank)};
}

}  // namespace

TEST_CASE("each of several domains ends when its own cell-init has said how it went") {
  Makings makings(kNever);
  std::vector<Played> all;
  for (std::uint32_t number = 1; number <= 4; ++number) {
    all.push_back(play());
    makings.add(making_of(number, all.back()));
  }
  CHECK(makings.take_ended().empty());
  CHECK(makings.slot_of("/cells/2") == "s-2");
  CHECK(makings.has_slot("s-3"));
  all[1].say(sandbox::kBlankDone);
  all[2].say("mount devpts");
  all[3].init.reset();
  const auto ended = makings.take_ended();
  REQUIRE(ended.size() == 3);
  CHECK(ended[0].making.number == 2);
  CHECK_FALSE(ended[0].failure);
  CHECK(ended[1].making.number == 3);
  CHECK(std::string(ended[1].failure.value().what()) == "mount devpts");
  CHECK(std::string(ended[2].failure.value().what()) == "cell-init has ended");
  CHECK(makings.slot_of("/cells/2").empty());
  CHECK_FALSE(makings.has_slot("s-3"));
  CHECK(makings.take_all().size() == 1);
  CHECK(makings.is_empty());
}

TEST_CASE("a cell-init that says nothing is given up after the limit") {
  Makings makings(std::chrono::milliseconds(0));
  Played silent = play();
  makings.add(making_of(1, silent));
  CHECK(makings.wait_limit().count() == 0);
  const auto ended = makings.take_ended();
  REQUIRE(ended.size() == 1);
  CHECK(std::string(ended[0].failure.value().what()).ends_with("said nothing for 0 ms"));
  CHECK(makings.is_empty());
}

TEST_CASE("so many domains are made at a time, and none more") {
  Makings makings(kNever);
  std::vector<Played> all;
  for (std::uint32_t number = 1; number <= sandbox::kMakingsMax; ++number) {
    makings.require_room();
    all.push_back(play());
    makings.add(making_of(number, all.back()));
  }
  CHECK_THROWS_WITH_AS(makings.require_room(), doctest::Contains("16 domains"), Error);
}

}  // namespace cellar::spawn
