#include "cell/disk_ledger.h"

#include <doctest/doctest.h>

#include <vector>

using namespace cellar::cell;
using cellar::sys::DiskUse;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr DiskUse kLimits{100 * kMiB, 1000};
constexpr DiskUse kFree{10'000 * kMiB, 100'000};

DiskUse less(std::uint64_t mib, std::uint64_t inodes = 0) {
  return {kFree.bytes - mib * kMiB, kFree.inodes - inodes};
}

}  // namespace

TEST_CASE("a cell is measured first, and again when the disk has lost as much as it had left") {
  DiskLedger ledger(kLimits);
  CHECK(ledger.may_exceed(kFree));
  ledger.measured({60 * kMiB, 500}, kFree);
  CHECK_FALSE(ledger.may_exceed(less(40)));
  CHECK(ledger.may_exceed(less(41)));
  CHECK_FALSE(ledger.may_exceed(less(0, 500)));
  CHECK(ledger.may_exceed(less(0, 501)));
  CHECK_FALSE(ledger.may_exceed({kFree.bytes * 2, kFree.inodes * 2}));  // Somebody deleted.
}

TEST_CASE("a cell that is over its limit may be emptied, but not grow") {
  DiskLedger ledger(kLimits);
  const DiskUse before = ledger.allowed();
  ledger.measured({300 * kMiB, 10}, kFree);
  CHECK(ledger.is_over());
  CHECK(ledger.exceeds(before));
  const DiskUse now = ledger.allowed();
  CHECK_FALSE(ledger.may_exceed(less(1)));
  CHECK(ledger.may_exceed(less(2)));
  ledger.measured({299 * kMiB, 10}, kFree);
  CHECK_FALSE(ledger.exceeds(now));
  CHECK(ledger.is_over());
  ledger.measured({50 * kMiB, 10}, kFree);
  CHECK_FALSE(ledger.is_over());
  CHECK(ledger.allowed() == kLimits);
}

TEST_CASE("a cell that does not change is measured less often, until something new runs in it") {
  using std::chrono::seconds;
  DiskLedger ledger(kLimits);
  std::vector<seconds> pauses;
  for (int i = 0; i < 6; ++i) {
    ledger.measured({10 * kMiB + i * 1000U, 10}, kFree);  // A log grows a little.
    pauses.push_back(ledger.walk_pause());
  }
  CHECK(pauses == std::vector<seconds>{seconds(10), seconds(20), seconds(40), seconds(60),
                                       seconds(60), seconds(60)});
  ledger.expect_change();
  CHECK(ledger.walk_pause() == seconds(10));
  ledger.measured({10 * kMiB, 10}, kFree);
  CHECK(ledger.walk_pause() == seconds(20));
  ledger.measured({10 * kMiB, 200}, kFree);
  CHECK(ledger.walk_pause() == seconds(10));
  for (const DiskUse near : {DiskUse{60 * kMiB, 10}, DiskUse{10 * kMiB, 600}}) {
    for (int i = 0; i < 3; ++i) ledger.measured(near, kFree);
    CHECK(ledger.walk_pause() == seconds(10));
  }
}

TEST_CASE("what the file system limits is not counted against a cell") {
  DiskLedger ledger(kLimits);
  ledger.measured({99 * kMiB, 999}, kFree);
  const DiskUse too_many_bytes = less(2), too_many_files = less(0, 2);
  using cellar::sys::DiskEnforcer;
  for (const DiskEnforcer enforcer :
       {DiskEnforcer::counted, DiskEnforcer::qgroup, DiskEnforcer::project}) {
    ledger.set_enforcer(enforcer);
    CHECK(ledger.may_exceed(too_many_bytes) == (enforcer == DiskEnforcer::counted));
    CHECK(ledger.may_exceed(too_many_files) == (enforcer != DiskEnforcer::project));
    CHECK(ledger.exceeds({98 * kMiB, 999}) == (enforcer == DiskEnforcer::counted));
    CHECK(ledger.exceeds({99 * kMiB, 998}) == (enforcer != DiskEnforcer::project));
    CHECK_FALSE(ledger.has_room({2 * kMiB, 0}));  // Asked before the daemon itself writes.
  }
}

TEST_CASE("what the daemon writes for a cell is taken from its room at once") {
  DiskLedger ledger(kLimits);
  CHECK_FALSE(ledger.has_room({1, 1}));  // Nobody knows.
  ledger.measured({90 * kMiB, 10}, kFree);
  CHECK(ledger.has_room({10 * kMiB, 1}));
  CHECK_FALSE(ledger.has_room({10 * kMiB + 1, 1}));
  ledger.wrote({6 * kMiB, 1});
  CHECK(ledger.has_room({4 * kMiB, 1}));
  CHECK_FALSE(ledger.has_room({5 * kMiB, 1}));
  CHECK_FALSE(ledger.has_room({0, 990}));
  ledger.measured({91 * kMiB, 11}, kFree);
  CHECK(ledger.has_room({9 * kMiB, 1}));
}

TEST_CASE("more files are seen whatever a cell has already, and so is what it hides deep") {
  DiskLedger ledger(kLimits);
  for (const std::uint64_t inodes : {0U, 1000U, 2000U, 2004U, 100'000U}) {
    CAPTURE(inodes);
    ledger.measured({kMiB, inodes}, kFree);
    const DiskUse most = ledger.allowed();
    const cellar::sys::DiskWalk walk = ledger.short_walk();
    ledger.measured({kMiB, walk.inodes_max}, kFree);
    CHECK(ledger.exceeds(most));
    ledger.measured({kMiB, walk.deep_inodes}, kFree);
    CHECK(ledger.exceeds(most));
  }
  CHECK(ledger.whole_walk().inodes_max > 1'000'000'000);
  CHECK(ledger.whole_walk().deep_inodes > kLimits.inodes);
}
