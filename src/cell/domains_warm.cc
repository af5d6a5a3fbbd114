// How what was made ahead becomes a cell's: fresh domains, and a warm agent.

#include <utility>

#include "async/run_to_end.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/domains.h"
#include "cell/slots.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {

// ---- fresh domains ----

asio::awaitable<void> Domains::adopt(FreshCell& fresh) {
  co_await machine_.spawner.adopt(fresh.dir, layout_.dir, spec_.cell_id);
  sandbox::apply(plan_groups(fresh.slot));
  fault_point("fresh.adopted");
  set_slot(fresh.slot);
  for (const Kind kind : {Kind::agent, Kind::shell}) {
    FreshCell::Domain& made = fresh.domains[static_cast<std::size_t>(kind)];
    of(kind).init = made.init;
    of(kind).connection = std::move(made.connection);
  }
  are_fresh_ = true;
  log::debug("cell {}: a fresh cell is taken: {}", log::cell(spec_.cell_id), fresh.dir);
}

void Domains::begin_use() {
  require_room();
  machine_.capacity.let_in();
  for (const Kind kind : {Kind::agent, Kind::shell}) {
    if (is_alive(kind)) keep_record(kind);
  }
  fault_point("fresh.noted");
  keep_slot(slot_, Kind::shell);  // Last: records are read where there is a slot.
  fault_point("fresh.slot_kept");
  are_fresh_ = false;
}

void Domains::let_go_of_fresh() {
  if (!are_fresh_) return;
  fresh_gone_ = std::make_shared<async::Event>(machine_.executor);
  tasks_.spawn(remove_groups(groups_, fresh_gone_));
  set_slot({});
  are_fresh_ = false;
  for (const Kind kind : {Kind::agent, Kind::shell}) {
    of(kind).init.reset();
    of(kind).connection.reset();
  }
  forget_slot(layout_);
  for (const Kind kind : {Kind::agent, Kind::shell}) remove_record(kind);
}

asio::awaitable<void> Domains::remove_groups(sandbox::CgroupPlan groups,
                                             std::shared_ptr<async::Event> removed) {
  try {
    co_await remove_surely(std::move(groups));
  } catch (const Error& error) {  // The next daemon removes what nobody has.
    log::warning("cell {}: what was made ahead for it stays: {}", log::cell(spec_.cell_id),
                 error.what());
  }
  removed->set();
}

asio::awaitable<void> Domains::fresh_gone() {
  if (fresh_gone_) co_await fresh_gone_->wait();
}

// ---- a warm agent ----

asio::awaitable<std::optional<Domains::WarmHost>> Domains::take_warm_host() {
  require_floor();
  co_return co_await async::run_to_end(tasks_, take_warm_host_now());
}

// Both domains of a cell share its groups: one that has some already gets an agent domain there.
asio::awaitable<std::optional<Domains::WarmHost>> Domains::take_warm_host_now() {
  const auto turn = co_await serial_.turn();
  const bool has_processes = !are_fresh_ && (!slot_.empty() || any_alive());
  if (has_processes || spec_.runtime != sandbox::Runtime::native) co_return std::nullopt;
  require_room();
  std::optional<WarmAgent> warm = machine_.warm_agents.take(image_dir());
  if (!warm) co_return std::nullopt;
  std::optional<Error> failure;
  try {
    let_go_of_fresh();  // It brings groups of its own.
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
  sandbox::DomainSpec spec = spec_of(Kind::agent);
  spec.uid_base = warm.place.uid;
  co_await machine_.spawner.personalize(std::move(spec), warm.init);
  fault_point("warm.personal");
  sys::rename_file(warm.socket_path, layout_.domain_socket(Kind::agent));
  domain.init = warm.init;  // From here on it ends with the cell's domains, whatever fails.
  domain.warm_range = warm.place.uid;
  keep_slot(warm.slot, Kind::agent);
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
