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
  const Capacity none({dir.path(), 0, 0});
  CHECK_FALSE(none.lacks_memory());
  CHECK_NOTHROW(none.require_memory());
  CHECK_NOTHROW(none.require_disk());
  const Capacity all({dir.path(), kMoreThanThereIs, kMoreThanThereIs});
  CHECK(all.lacks_memory());
  CHECK(reason_of([&] { all.require_memory(); }) == Capacity::kReason);
  CHECK(reason_of([&] { all.require_disk(); }) == Capacity::kReason);
}

}  // namespace cellar::cell
