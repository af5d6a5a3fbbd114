// How a warm agent becomes a cell's.

#include <utility>

#include "async/run_to_end.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/domains.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {

asio::awaitable<std::optional<Domains::WarmHost>> Domains::take_warm_host() {
  require_floor();
  co_return co_await async::run_to_end(tasks_, take_warm_host_now());
}

// Both domains of a cell share its groups: one that has some already gets an agent domain there.
asio::awaitable<std::optional<Domains::WarmHost>> Domains::take_warm_host_now() {
  const auto turn = co_await serial_.turn();
  const bool has_processes = !slot_.empty() || any_alive();
  if (has_processes || spec_.runtime != sandbox::Runtime::native) co_return std::nullopt;
  require_room();
  std::optional<WarmAgent> warm = machine_.warm_agents.take(image_dir());
  if (!warm) co_return std::nullopt;
  std::optional<Error> failure;
  try {
    co_await make_own(*warm);
  } catch (const Error& error) {
    failure = error;
  }
  if (failure && slot_.empty()) {
    log::warning("cell {}: a warm agent is of no use: {}", log::cell(spec_.cell_id),
                 failure->what());
    machine_.warm_agents.discard(std::move(*warm));
    co_return std::nullopt;
  }
  if (failure) {
    of(Kind::agent).may_have_remains = true;
    sandbox::kill_group(groups_.domain(Kind::agent));
    throw *failure;
  }
  log::debug("cell {}: a warm agent is taken: process {}", log::cell(spec_.cell_id),
             warm->init.pid);
  WarmHost own{std::move(warm->place), std::move(warm->host)};
  own.place.number = ++program_count_;
  own.place.note_start = note_of(Kind::agent, own.place.number);
  co_return own;
}

asio::awaitable<void> Domains::make_own(WarmAgent& warm) {
  Domain& domain = of(Kind::agent);
  sandbox::DomainSpec spec = domain_spec(Kind::agent);
  spec.uid_base = warm.place.uid;
  co_await machine_.spawner.personalize(std::move(spec), warm.init);
  fault_point("warm.personal");
  sys::rename_file(warm.socket_path, socket_path(Kind::agent));
  domain.init = warm.init;  // From here on it ends with the cell's domains, whatever fails.
  domain.warm_range = warm.place.uid;
  keep_slot(warm.slot);
  fault_point("warm.slot_kept");
  sandbox::apply(groups_);
  keep_record(Kind::agent);
  co_await open_egress(Kind::agent);
  domain.link = warm.place.domain;
}

void Domains::hold_ranges() {
  for (const Domain& domain : domains_) {
    if (domain.warm_range != 0) machine_.warm_agents.ranges().hold(domain.warm_range);
  }
}

void Domains::release_warm_range(Kind kind) noexcept {
  const std::uint32_t range = std::exchange(of(kind).warm_range, 0);
  if (range != 0) machine_.warm_agents.ranges().release(range);
}

}  // namespace cellar::cell
