// Searches for a state of the disk that loses or invents a record: disk_states [--states N]
// [--seconds S] [--seed N].
//
// Program after program is made up from the seed and run on a simulated disk that loses power, or
// fails, at every call; of what was not synced then, every subset that is tried (all of them where
// there are few) is one state. From each the journal is opened, and must hold what was
// acknowledged and nothing that was not appended. A part of them loses power again while it is
// opened, up to three times, or goes on and loses power later.

#include <fmt/format.h>
#include <malloc.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "journal/blobs.h"
#include "journal_program.h"

namespace cellar::crash {
namespace {

using journal::SimStorage;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kAllSubsetsMax = 6;  // pieces of which every subset is tried
constexpr std::size_t kSubsets = 24;       // tried where there are more
constexpr int kDepthMax = 3;
constexpr std::uint64_t kDamageFrom = 100'000;  // states asked for: the damage is some 300,000
constexpr std::size_t kRecoveryCallsMax = 12;

struct Fault {
  int error;
  enum class Lasts : std::uint8_t { once, for_good } lasts;
};
constexpr Fault kFaults[] = {{EIO, Fault::Lasts::once},
                             {ENOSPC, Fault::Lasts::once},
                             {ENOSPC, Fault::Lasts::for_good},
                             {EDQUOT, Fault::Lasts::for_good},
                             {EROFS, Fault::Lasts::for_good}};

std::function<bool(std::size_t)> some(Random& random) {
  // Mostly lost, half, mostly kept.
  const std::uint64_t threshold = 1 + 4 * pick(random, 3);
  return [&random, threshold](std::size_t) { return random() % 10 < threshold; };
}

// One program, in every way in which its disk can fail.
class Search {
 public:
  Search(std::uint64_t seed, std::uint64_t& states)
      : random_(seed), program_(make_program(random_)), expected_(program_), states_(states) {}

  void all() {
    power_losses();
    for (const Fault& fault : kFaults) errors(fault);
    read_errors();
  }

  // What no crash does: every bit flipped, and every file cut at every byte.
  void damage() {
    SimStorage intact(program_.sector_bytes);
    run(program_, intact);
    for (const std::string& name : intact.list("")) {
      flip_and_cut(intact.contents(name),
                   [&](const std::string& bytes) { damaged(intact, name, bytes); });
    }
  }

  // The same of its blobs. False where it has none.
  bool damage_blobs() {
    SimStorage intact(program_.sector_bytes);
    run(program_, intact);
    bool has_blobs = false;
    for (const std::string& shelf : intact.list_folders("blobs")) {
      for (const std::string& digest : intact.list("blobs/" + shelf)) {
        const std::string name = fmt::format("blobs/{}/{}", shelf, digest);
        const std::string contents = intact.contents(name);
        flip_and_cut(contents, [&](const std::string& bytes) {
          SimStorage disk = intact;
          disk.put(name, bytes);
          damaged_blob(std::move(disk), digest, contents);
        });
        has_blobs = true;
      }
    }
    return has_blobs;
  }

 private:
  template <typename Each>
  static void flip_and_cut(const std::string& bytes, Each each) {
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      each(flipped);
    }
    for (std::size_t size = 0; size < bytes.size(); ++size) each(bytes.substr(0, size));
  }

  void power_losses() {
    for (int call = 1;; ++call) {
      SimStorage disk(program_.sector_bytes);
      disk.lose_power_at(call);
      const std::size_t acknowledged = run(program_, disk);
      at_ = fmt::format("power lost at call {}", call);
      const std::size_t pieces = disk.unsynced_count();
      const bool all = pieces <= kAllSubsetsMax;
      const std::size_t count = all ? std::size_t{1} << pieces : kSubsets;
      for (std::size_t subset = 0; subset < count; ++subset) {
        SimStorage copy = disk;
        if (all) {
          copy.restore_power([subset](std::size_t piece) { return (subset >> piece & 1) != 0; });
        } else {
          copy.restore_power(some(random_));
        }
        examine(std::move(copy), acknowledged, 1);
      }
      if (!disk.lost_power()) return;
    }
  }

  void errors(const Fault& fault) {
    for (int call = 1;; ++call) {
      SimStorage disk(program_.sector_bytes);
      if (fault.lasts == Fault::Lasts::once) {
        disk.fail_at(call, fault.error);
      } else {
        disk.fail_from(call, fault.error);
      }
      const std::size_t acknowledged = run(program_, disk);
      if (!disk.has_failed()) return;
      at_ = fmt::format("errno {} at call {}", fault.error, call);
      // The next start finds what the kernel shows, with the disk as it is, or well again.
      refuses_or_opens(disk, acknowledged);
      disk.fail_at(0, 0);
      examine(disk, acknowledged, 1);
      disk.restore_power(some(random_));
      examine(std::move(disk), acknowledged, 1);
    }
  }

  // Opening a journal on a disk that fails, or cannot be read, says so and does no harm.
  void refuses_or_opens(SimStorage disk, std::size_t acknowledged) {
    ++states_;
    try {
      expected_.read(disk, acknowledged);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::corrupt) throw Broken{error.what()};
    }
    disk.fail_at(0, 0);
    disk.fail_read_at(0, 0);
    examine(std::move(disk), acknowledged, kDepthMax);
  }

  void read_errors() {
    SimStorage disk(program_.sector_bytes);
    const std::size_t acknowledged = run(program_, disk);
    for (int call = 1; call <= 4; ++call) {
      at_ = fmt::format("read {} fails", call);
      SimStorage copy = disk;
      copy.fail_read_at(call, EIO);
      refuses_or_opens(std::move(copy), acknowledged);
    }
  }

  // A state in which the journal is opened by the next start.
  void examine(SimStorage disk, std::size_t acknowledged, int depth) {
    ++states_;
    if (depth < kDepthMax && pick(random_, 3) == 0) interrupt(disk, acknowledged, depth);
    const std::size_t found = expected_.read(disk, acknowledged);
    const std::size_t then = pick(random_, 6);
    if (then == 0) {
      // What an opening said was there stays, though nothing was written since.
      disk.restore_power(some(random_));
      if (expected_.read(disk, found) != found) throw Broken{"opening twice is not opening once"};
    } else if (then == 1) {
      go_on(std::move(disk), found);
    }
  }

  // Power is lost while it is opened.
  void interrupt(const SimStorage& disk, std::size_t acknowledged, int depth) {
    SimStorage copy = disk;
    copy.lose_power_at(static_cast<int>(1 + pick(random_, kRecoveryCallsMax)));
    try {
      acknowledged = expected_.read(copy, acknowledged);
    } catch (const Error& error) {
      if (error.reason() != "power_lost") throw Broken{error.what()};
    }
    copy.restore_power(some(random_));
    examine(std::move(copy), acknowledged, depth + 1);
  }

  void go_on(SimStorage disk, std::size_t found) {
    Expected longer = expected_;
    longer.cut(found);
    std::size_t acknowledged = found;
    disk.lose_power_at(static_cast<int>(1 + pick(random_, 2 * kRecoveryCallsMax)));
    try {
      for (const char* value : {"after", "and after"}) {
        longer.add(value);
        append_one(program_, disk, value);
        ++acknowledged;
      }
    } catch (const Error& error) {
      if (error.reason() != "power_lost") throw Broken{error.what()};
    }
    ++states_;
    disk.restore_power(some(random_));
    longer.read(disk, acknowledged);
  }

  // All that is behind the last batch that was acknowledged by a later one may go unnoticed; a
  // record that was never appended may not.
  void damaged(const SimStorage& intact, const std::string& name, const std::string& bytes) {
    ++states_;
    SimStorage disk = intact;
    disk.put(name, bytes);
    at_ = "damage in " + name;
    const auto& ends = expected_.ends();
    try {
      expected_.read(disk, ends[ends.size() - 2]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw Broken{error.what()};
      if (disk.contents(name) != bytes) throw Broken{"a journal that was refused was changed"};
    }
  }

  // It is refused, what else there is is not, and storing the value once more mends it.
  void damaged_blob(SimStorage disk, const std::string& digest, const std::string& contents) {
    ++states_;
    at_ = "damage in blob " + digest;
    const std::size_t count = expected_.read(disk, expected_.ends().back(), digest);
    journal::put_blob(disk, contents);
    expected_.read(disk, count);
  }

 public:
  const std::string& at() const noexcept { return at_; }

 private:
  Random random_;
  Program program_;
  Expected expected_;
  std::uint64_t& states_;
  std::string at_;
};

struct Arguments {
  std::uint64_t states = 1'000'000;
  std::optional<double> seconds;  // instead of a number of states
  std::uint64_t seed = 1;
  std::uint64_t step = 1;  // to the next program's number
};

Arguments read_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto number = parse_int(argv[i + 1]);
    if (!number || *number < 0) throw Broken{fmt::format("{} needs a number", name)};
    const auto value = static_cast<std::uint64_t>(*number);
    if (name == "--states") arguments.states = value;
    if (name == "--seconds") arguments.seconds = static_cast<double>(value);
    if (name == "--seed") arguments.seed = value;
    if (name == "--step") arguments.step = value;
  }
  return arguments;
}

void report(const Search& search, std::uint64_t number, const std::string& what) {
  std::printf("broken: %s; disk_states --seed %llu --states 1: %s\n", search.at().c_str(),
              static_cast<unsigned long long>(number), what.c_str());
}

// Programs are numbered from the seed on, so that `--seed N` begins with the one that failed. The
// first one, and the blobs of the first one that has any, are also damaged in every way, where
// there is time for it.
int run_campaign(const Arguments& arguments) {
  const auto begun = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begun).count(); };
  std::uint64_t states = 0;
  bool broken = false;
  bool blobs_wait = arguments.states >= kDamageFrom;
  const auto goes_on = [&] {
    return !broken &&
           (arguments.seconds ? seconds() < *arguments.seconds : states < arguments.states);
  };
  for (std::uint64_t number = arguments.seed; goes_on(); number += arguments.step) {
    Search search(number, states);
    try {
      search.all();
      if (number == arguments.seed && arguments.states >= kDamageFrom) search.damage();
      if (blobs_wait) blobs_wait = !search.damage_blobs();
    } catch (const Broken& found) {
      broken = true;
      report(search, number, found.what);
    } catch (const Error& error) {
      broken = true;
      report(search, number, error.what());
    }
  }
  std::printf("%llu states, %d broken, in %.1f s\n", static_cast<unsigned long long>(states),
              broken ? 1 : 0, seconds());
  return broken ? 1 : 0;
}

}  // namespace
}  // namespace cellar::crash

int main(int argc, char** argv) {
  using namespace cellar::crash;
  // Disks are copied and thrown away all the time: what they took is kept, not given back.
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  try {
    return run_campaign(read_arguments(argc, argv));
  } catch (const Broken& broken) {
    std::fprintf(stderr, "%s\n", broken.what.c_str());
    return 2;
  }
}
