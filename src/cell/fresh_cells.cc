#include "cell/fresh_cells.h"

#include <algorithm>

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/cgroups.h"
#include "cell/stock.h"
#include "sandbox/groups.h"
#include "sys/directory.h"

namespace cellar::cell {
namespace {

using Kind = sandbox::DomainKind;

constexpr std::chrono::milliseconds kStockPause{200};
// One is not made where there is less above the reserve.
constexpr std::uint64_t kFreshRoomBytes = 64 << 20;
constexpr const char* kFreshName = "cell";

// Of an earlier daemon's. What cannot be removed is in nobody's way: the next start tries again.
void remove_left(const std::string& dir) {
  try {
    for (const std::string& name : sys::folders_in(dir)) {
      CellLayout{dir + "/" + name}.remove([] { return true; });
    }
  } catch (const Error& error) {
    log::error("{}: fresh cells of an earlier daemon stay: {}", dir, error.what());
  }
}

bool is_well(const FreshCell& fresh) {
  return std::all_of(fresh.domains.begin(), fresh.domains.end(), [](const auto& domain) {
    return sys::identify(domain.init.pid) == domain.init;
  });
}

}  // namespace

FreshCells::FreshCells(const Machine& machine, Options options)
    : machine_(machine),
      options_(std::move(options)),
      makings_(machine.executor),
      endings_(machine.executor),
      tasks_(machine.executor) {}

void FreshCells::start() { tasks_.spawn(keep_full()); }

asio::awaitable<void> FreshCells::keep_full() {
  auto remove = [dir = options_.dir] { remove_left(dir); };
  co_await async::offload(machine_.pool, std::move(remove));
  if (options_.count == 0) co_return;
  Stock stock{.what = "fresh cell",
              .pause = kStockPause,
              .room_bytes = kFreshRoomBytes,
              .lacks_one = [this] { return ready_.size() < options_.count; },
              .make_one = [this] { return make_one(); }};
  co_await keep_stock(std::move(stock), machine_.capacity, makings_);
}

asio::awaitable<void> FreshCells::close() {
  options_.count = 0;
  co_await tasks_.close();
  co_await makings_.join();  // What is under way at the spawner is known to nobody else.
  for (FreshCell& fresh : ready_) discard(std::move(fresh));
  ready_.clear();
  co_await endings_.join();
}

std::optional<FreshCell> FreshCells::take(const std::string& image_digest) {
  while (!ready_.empty()) {
    FreshCell fresh = std::move(ready_.front());
    ready_.pop_front();
    if (fresh.image_digest == image_digest && is_well(fresh)) return fresh;
    discard(std::move(fresh));
  }
  return std::nullopt;
}

void FreshCells::discard(FreshCell fresh) { endings_.spawn(end(std::move(fresh))); }

asio::awaitable<void> FreshCells::make_one() {
  FreshCell fresh;
  fresh.uid_index = co_await options_.reserve_uid_index();
  fresh.dir = options_.dir + "/" + std::to_string(fresh.uid_index);
  std::string image_dir;
  auto prepare = [&] {
    const auto image = machine_.images.find(image::kDefaultName);
    if (image) {
      fresh.image_digest = image->digest;
      image_dir = image->dir;
    }
    CellLayout{fresh.dir}.create(machine_.disk_enforcer, 0);
  };
  std::exception_ptr failure;
  try {
    co_await async::offload(machine_.pool, prepare);
    co_await make_domains(fresh, std::move(image_dir));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    discard(std::move(fresh));
    std::rethrow_exception(failure);
  }
  fault_point("fresh.made");
  log::debug("a fresh cell is ready: {}", fresh.dir);
  ready_.push_back(std::move(fresh));  // close() ends it.
}

asio::awaitable<void> FreshCells::make_domains(FreshCell& fresh, std::string image_dir) {
  const CellLayout layout{fresh.dir};
  CellSpec spec;
  spec.cell_id = kFreshName;
  spec.uid_index = fresh.uid_index;
  for (const Kind kind : {Kind::shell, Kind::agent}) {
    sandbox::DomainSpec domain = domain_spec(machine_, layout, spec, kind);
    domain.image_dir = image_dir;
    std::string socket = layout.domain_socket(kind);
    std::string slot = fresh.slot;
    Spawner::Domain made = co_await machine_.spawner.make_domain(
        std::move(domain), std::move(socket), std::move(slot));
    fresh.slot = made.slot;
    const auto init = sys::identify(static_cast<pid_t>(made.pid));
    if (!init) throw Error(ErrorCode::unavailable, "domain_lost", "cell-init ended at once");
    fresh.domains[static_cast<std::size_t>(kind)] = {*init, std::move(made.connection)};
  }
}

asio::awaitable<void> FreshCells::end(FreshCell fresh) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  try {
    if (!fresh.slot.empty()) {
      co_await remove_surely(
          sandbox::plan_cgroups(machine_.cgroup_host, machine_.daemon_group, fresh.slot));
    }
    auto remove_files = [dir = fresh.dir] { CellLayout{dir}.remove([] { return true; }); };
    co_await async::offload(machine_.pool, std::move(remove_files));
    co_await options_.free_uid_index(fresh.uid_index);
  } catch (const Error& error) {  // The next daemon removes it; until then its ids rest.
    log::warning("{}: a fresh cell stays: {}", fresh.dir, error.what());
  }
}

}  // namespace cellar::cell
