#include "cell/capacity.h"

#include <doctest/doctest.h>

#include <functional>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

constexpr std::uint64_t kGiB = 1 << 30;
constexpr std::uint64_t kMoreThanThereIs = std::uint64_t{1} << 60;

std::string reason_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.reason();
  }
  return "";
}

}  // namespace

TEST_CASE("the usual reserve is a part of the machine, and has a limit") {
  CHECK(usual_reserve(10 * kGiB, 10 * kGiB) == Reserve{kGiB / 2, kGiB / 5});
  CHECK(usual_reserve(1000 * kGiB, 1000 * kGiB) == Reserve{kGiB, kGiB});
}

TEST_CASE("a machine that has less than its reserve takes no more cells") {
  const testing::TempDir dir;
  Capacity none({dir.path(), 0, 0});
  CHECK_FALSE(none.lacks_memory());
  CHECK_NOTHROW(none.require_memory());
  CHECK_NOTHROW(none.require_disk());
  Capacity all({dir.path(), kMoreThanThereIs, kMoreThanThereIs});
  CHECK(all.lacks_memory());
  CHECK(reason_of([&] { all.require_memory(); }) == Capacity::kReason);
  CHECK(reason_of([&] { all.require_disk(); }) == Capacity::kReason);
}

TEST_CASE("under pressure one cell after the other gives its memory back, and not for one alone") {
  const sys::MemoryPressure none{0, 0};
  const sys::MemoryPressure some{kSomePressureMax, 0};
  const sys::MemoryPressure full{0, kFullPressureMax};
  const auto relief = [](std::uint64_t available, std::optional<sys::MemoryPressure> pressure,
                         std::chrono::milliseconds since = kReliefPause) {
    return relief_for({available, kGiB, pressure, since});
  };
  CHECK(relief(kGiB - 1, std::nullopt) == Relief::until_reserve);
  CHECK(relief(kGiB - 1, some, std::chrono::milliseconds(0)) == Relief::until_reserve);
  CHECK(relief(2 * kGiB, std::nullopt) == Relief::none);
  CHECK(relief(2 * kGiB, none) == Relief::none);
  CHECK(relief(2 * kGiB, some) == Relief::one_cell);
  CHECK(relief(2 * kGiB, full) == Relief::one_cell);
  CHECK(relief(2 * kGiB, sys::MemoryPressure{kSomePressureMax - 0.1, kFullPressureMax - 0.1}) ==
        Relief::none);
  CHECK(relief(2 * kGiB, full, kReliefPause - std::chrono::milliseconds(1)) == Relief::none);
  CHECK(relief(4 * kGiB, full) == Relief::none);                         // A cell at its own limit.
  CHECK(relief_for({2 * kGiB, 0, full, kReliefPause}) == Relief::none);  // No reserve: never.
}

TEST_CASE("who was let in counts for a moment, and no more of them than the limit") {
  const Admissions::Time start{};
  Admissions admissions;
  CHECK(admissions.bytes(start) == 0);
  admissions.add(start);
  admissions.add(start + std::chrono::seconds(1));
  CHECK(admissions.bytes(start + std::chrono::seconds(1)) == 2 * Admissions::kBytesEach);
  CHECK(admissions.bytes(start + Admissions::kWindow) == Admissions::kBytesEach);
  CHECK(admissions.bytes(start + 2 * Admissions::kWindow) == 0);
  for (std::size_t i = 0; i <= Admissions::kCountMax; ++i) admissions.add(start);
  CHECK(admissions.bytes(start) == Admissions::kCountMax * Admissions::kBytesEach);
}

TEST_CASE("of many that come at once only so many are let in as there is memory for") {
  const testing::TempDir dir;
  Capacity capacity({dir.path(), 0, 0});
  std::size_t count = 0;
  for (; count < Admissions::kCountMax; ++count) {  // 480 GB, none of which is used.
    if (!reason_of([&] { capacity.require_memory(); }).empty()) break;
    if (!capacity.has_memory_for(0)) break;
    capacity.let_in();
  }
  CHECK(count > 0);
  CHECK(capacity.has_memory_for(0) == (count == Admissions::kCountMax));
}

}  // namespace cellar::cell
