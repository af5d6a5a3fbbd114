#include "cell/disk_quota.h"

#include <algorithm>
#include <limits>

#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"

namespace cellar::cell {
namespace {

using Clock = std::chrono::steady_clock;

// What is open and mapped in a cell, of which more is taken for too much.
constexpr std::uint64_t kOpenCountMax = 200'000;

struct Measured {
  sys::DiskUse used;
  sys::DiskUse free_before;
  Clock::duration took;
};

}  // namespace

DiskQuota::DiskQuota(const asio::any_io_executor& executor, async::Pool& pool,
                     std::vector<std::string> folders, std::function<Processes()> processes,
                     std::function<void()> end_programs)
    : pool_(pool),
      folders_(std::move(folders)),
      processes_(std::move(processes)),
      end_programs_(std::move(end_programs)),
      ledger_({}),
      turns_(executor),
      tasks_(executor) {}

DiskQuota::~DiskQuota() = default;

asio::awaitable<void> DiskQuota::enforce() {
  auto tell = [folders = folders_, limits = ledger_.limits()] {
    const sys::DiskEnforcer enforcer = sys::enforcer_of(folders);
    try {
      sys::limit_disk(enforcer, folders, limits);
    } catch (const Error& error) {
      log::warning("the file system does not limit {} any more, it is counted: {}", folders.front(),
                   error.what());
      return sys::DiskEnforcer::counted;
    }
    return enforcer;
  };
  ledger_.set_enforcer(co_await async::offload(pool_, std::move(tell)));
}

asio::awaitable<void> DiskQuota::loosen() {
  const sys::DiskEnforcer enforcer = ledger_.enforcer();
  if (enforcer == sys::DiskEnforcer::counted) co_return;
  sys::DiskUse more = ledger_.limits();
  more += kMaking;
  auto tell = [folders = folders_, enforcer, more] {
    sys::limit_disk(enforcer, folders, more);
    return true;
  };
  co_await async::offload(pool_, std::move(tell));
}

DiskQuota::Use DiskQuota::begin_use() {
  Use use = users_.lock();
  if (!use) {
    use = std::make_shared<int>(0);
    users_ = use;
  }
  expect_change();
  start_watching();
  return use;
}

void DiskQuota::start_watching() {
  if (watching_) return;
  watching_ = true;
  tasks_.spawn(watch());
}

void DiskQuota::expect_change() {
  ledger_.expect_change();
  walk_at_ = std::min(walk_at_, Clock::now() + ledger_.walk_pause());
}

void DiskQuota::go_on() {
  stands_still_ = false;
  expect_change();
  if (!users_.expired()) start_watching();
}

asio::awaitable<void> DiskQuota::measure(Walk kind) {
  const auto turn = co_await turns_.turn();
  const sys::DiskWalk how = kind == Walk::whole ? ledger_.whole_walk() : ledger_.short_walk();
  auto walk = [folders = folders_, processes = processes_(), how, enforcer = ledger_.enforcer()] {
    const auto began = Clock::now();
    Measured measured{{}, sys::disk_free(folders.front()), {}};
    if (const auto told = sys::limited_use(enforcer, folders)) {
      measured.used = *told;
      return measured;
    }
    for (const std::string& folder : folders) {
      measured.used += sys::disk_use(folder, how);
    }
    measured.used += sys::unlinked_use(processes(), {kOpenCountMax, how.deep_inodes});
    measured.took = Clock::now() - began;
    return measured;
  };
  const Measured measured = co_await async::offload(pool_, std::move(walk));
  ledger_.measured(measured.used, measured.free_before);
  rest_until_ = Clock::now() + std::min<Clock::duration>(measured.took, kRestMax);
  walk_at_ = Clock::now() + ledger_.walk_pause();
}

asio::awaitable<void> DiskQuota::watch() {
  struct Ended {
    bool& watching;
    ~Ended() { watching = false; }
  } const ended{watching_};
  while (!users_.expired() && !stands_still_) {
    try {
      co_await look();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::warning("the disk that {} takes was not measured: {}", folders_.front(), error.what());
    }
    co_await async::sleep_for(kLook);
  }
}

asio::awaitable<void> DiskQuota::look() {
  const bool is_first = !ledger_.used();
  const sys::DiskUse most = ledger_.allowed();
  const auto now = Clock::now();
  if (now < rest_until_) co_return;
  if (now < walk_at_ && !ledger_.may_exceed(sys::disk_free(folders_.front()))) co_return;
  co_await measure(is_first ? Walk::whole : Walk::until_too_much);
  // What a cell has already when it is first looked at, it may keep, and delete.
  if (is_first || !ledger_.exceeds(most)) co_return;
  // Of what it had too much, it may have more when it is measured again: what they wrote until they
  // were gone is not the doing of what runs from now on. Of the rest it may not.
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
  const sys::DiskUse limits = ledger_.limits();
  const sys::DiskUse used = ledger_.used().value_or(sys::DiskUse());
  const sys::DiskUse rest{used.bytes > limits.bytes ? kAny : limits.bytes,
                          used.inodes > limits.inodes ? kAny : limits.inodes};
  ++end_count_;
  end_programs_();
  co_await async::sleep_for(kLook);
  co_await measure(Walk::whole);
  if (!ledger_.exceeds(rest)) co_return;
  ++end_count_;
  end_programs_();
}

asio::awaitable<void> DiskQuota::require_room(std::uint64_t bytes, std::uint64_t files) {
  const sys::DiskUse more{bytes, files};
  if (!ledger_.has_room(more)) co_await measure(Walk::until_too_much);
  if (!ledger_.has_room(more)) {
    const sys::DiskUse used = ledger_.used().value_or(sys::DiskUse());
    const sys::DiskUse& limits = ledger_.limits();
    throw Error(ErrorCode::exhausted, "disk_quota",
                "the cell has " + std::to_string(used.bytes) + " of " +
                    std::to_string(limits.bytes) + " bytes and " + std::to_string(used.inodes) +
                    " of " + std::to_string(limits.inodes) + " files: " + std::to_string(bytes) +
                    " bytes more do not fit",
                "delete files of the cell, or give it a larger tier");
  }
  ledger_.wrote(more);
}

asio::awaitable<void> DiskQuota::close() { co_await tasks_.close(); }

}  // namespace cellar::cell
