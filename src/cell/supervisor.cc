#include "cell/supervisor.h"

#include <malloc.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "async/run_to_end.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/identity.h"
#include "cell/slots.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::milliseconds kTimerPause{1000};
constexpr std::size_t kTicksAtOnce = 32;
constexpr std::size_t kTicksMax = 1'000'000;  // each cell has one at most
// Cells that were just used are likely to be used again: they would be made anew at once.
constexpr std::chrono::seconds kSpareAfter{5};
constexpr std::size_t kLookupsAtOnce = 2;  // Each may take a thread for some seconds.
constexpr std::size_t kClosedAtOnce = 8;
// Of journals: what is free in the daemon goes back to the machine then, which holds it up.
constexpr std::uint64_t kUnloadedBytesMax = 16 << 20;
constexpr std::size_t kReaders = 4;  // of cells, when the daemon starts
constexpr std::chrono::seconds kTrashWait{1};
constexpr std::size_t kTrashMax = 1'000'000;  // deleted cells whose files are there

// A cell that is on disk, by its own word.
struct FoundCell {
  CellSpec spec;
  bool has_slot = false;  // it may have processes
};
using FoundCells = std::vector<FoundCell>;

struct OnDisk {
  FoundCells cells;
  std::vector<std::string> trash;  // what is left of deleted ones
};

// What cannot be removed holds up no others: the next start tries again.
void remove_unmade(const std::string& dir) {
  try {
    CellLayout{dir}.remove([] { return true; });
  } catch (const Error& error) {
    log::error("{}: what is left of a cell that was never made stays: {}", dir, error.what());
  }
}

// Those in every `kReaders`th folder.
FoundCells read_cells(const std::string& cells_dir, const std::vector<std::string>& names,
                      std::size_t first) {
  FoundCells cells;
  for (std::size_t at = first; at < names.size(); at += kReaders) {
    const std::string& name = names[at];
    const std::string dir = cells_dir + "/" + name;
    const auto text = sys::read_file(dir + "/cell.json");
    if (!text) {  // Its making was never acknowledged.
      remove_unmade(dir);
      continue;
    }
    try {
      if (is_copy_of_running({dir})) {
        log::warning(
            "cell {}: {} is a copy of a folder whose cell was awake: what runs there is left "
            "alone, and this cell starts anew; what both do, as calls to others, is done twice",
            log::cell(name), dir);
        forget_slot({dir});
      }
      cells.push_back({decode_cell_spec(*text), !read_slot({dir}).empty()});
    } catch (const Error& error) {
      log::error("cell {}: {}", log::cell(name), error.what());
    }
  }
  return cells;
}

struct Reading {
  FoundCells cells;
  std::exception_ptr failure;
};

asio::awaitable<void> read_part(async::Pool& pool, const std::string& cells_dir,
                                const std::vector<std::string>& names, std::size_t first,
                                Reading& part) {
  auto read = [&cells_dir, &names, first] { return read_cells(cells_dir, names, first); };
  try {
    part.cells = co_await async::offload(pool, read);
  } catch (...) {  // For who waits for all parts.
    part.failure = std::current_exception();
  }
}

// All that are in the folder, read by several threads: a daemon with ten thousand of them serves
// a good part of a second sooner.
asio::awaitable<OnDisk> find_cells(asio::any_io_executor executor, async::Pool& pool,
                                   std::string cells_dir) {
  auto list = [&cells_dir] { return sys::folders_in(cells_dir); };
  std::vector<std::string> names = co_await async::offload(pool, list);
  OnDisk all;
  const auto is_cell = [](const std::string& name) { return !uid_index_in_trash(name); };
  const auto trash = std::partition(names.begin(), names.end(), is_cell);
  all.trash.assign(trash, names.end());
  names.erase(trash, names.end());
  std::vector<Reading> parts(kReaders);
  async::TaskGroup readers(std::move(executor));
  for (std::size_t part = 0; part < kReaders; ++part) {
    readers.spawn(read_part(pool, cells_dir, names, part, parts[part]));
  }
  co_await readers.join();
  for (Reading& part : parts) {
    if (part.failure) std::rethrow_exception(part.failure);
    std::move(part.cells.begin(), part.cells.end(), std::back_inserter(all.cells));
  }
  co_return all;
}

store::CellRow row_of(const CellSpec& spec) {
  return {.cell_id = spec.cell_id,
          .owner_id = spec.owner_id,
          .customer_id = spec.customer_id,
          .uid_index = spec.uid_index,
          .created_at = spec.created_at};
}

// Makes the registry say what the folders say: a folder may have been copied here, or the registry
// lost.
void reconcile(store::Registry& registry, const FoundCells& cells) {
  std::vector<store::CellRow> rows;
  for (const FoundCell& cell : cells) rows.push_back(row_of(cell.spec));
  const auto by_id = [](const store::CellRow& a, const store::CellRow& b) {
    return a.cell_id < b.cell_id;
  };
  std::vector<store::CellRow> known = registry.cells();
  std::sort(known.begin(), known.end(), by_id);
  std::sort(rows.begin(), rows.end(), by_id);
  const auto same = [](const store::CellRow& a, const store::CellRow& b) {
    return a.cell_id == b.cell_id && a.uid_index == b.uid_index;
  };
  if (std::equal(known.begin(), known.end(), rows.begin(), rows.end(), same)) return;
  log::warning("the registry is made anew from the {} cells on disk", rows.size());
  registry.rebuild(rows);
}

}  // namespace

Supervisor::Supervisor(const Machine& machine, CellConfig config, const Sealer& sealer,
                       std::string state_dir)
    : machine_(machine),
      config_(std::move(config)),
      sealer_(sealer),
      state_dir_(std::move(state_dir)),
      tick_turns_(machine.executor, {.at_once = kTicksAtOnce, .waiters_max = kTicksMax}),
      large_documents_(machine.executor),
      lookups_(machine.executor, {.at_once = kLookupsAtOnce}),
      registry_turns_(machine.executor),
      turns_(machine.executor),
      trash_turns_(machine.executor, {.waiters_max = kTrashMax}),
      fresh_cells_(machine, fresh_options()),
      changes_(machine.executor),
      tasks_(machine.executor) {}

Supervisor::~Supervisor() = default;

CellLayout Supervisor::layout_of(const std::string& cell_id) const {
  return {state_dir_ + "/cells/" + cell_id};
}

Supervisor::CellPtr Supervisor::unopened(CellSpec spec) const {
  CellLayout layout = layout_of(spec.cell_id);
  return std::make_shared<Cell>(machine_, config_, sealer_, std::move(layout), std::move(spec));
}

asio::awaitable<void> Supervisor::open() {
  auto prepare = [this] {
    sys::make_dirs(state_dir_ + "/cells");
    registry_ = std::make_unique<store::Registry>(state_dir_ + "/registry.sqlite", kUidIndexMax);
    for (CustomDomain& row : registry_->domains()) domains_[row.domain] = row;
    for (Key& key : registry_->keys()) key_ring_.put(std::move(key));
  };
  co_await async::offload(machine_.pool, prepare);
  std::string cells_dir = state_dir_ + "/cells";
  OnDisk found = co_await find_cells(machine_.executor, machine_.pool, std::move(cells_dir));
  auto compare = [this, &found] {
    reconcile(*registry_, found.cells);
    for (const auto& name : found.trash) registry_->rest_uid_index(*uid_index_in_trash(name));
  };
  co_await async::offload(machine_.pool, compare);
  std::vector<std::string> hibernated;
  for (FoundCell& one : found.cells) {
    std::string id = one.spec.cell_id;
    const CellPtr cell = unopened(std::move(one.spec));
    cells_[id] = cell;
    if (one.has_slot) {
      co_await open_cell(cell);
    } else {
      hibernated.push_back(std::move(id));
    }
  }
  // To the end, also of a daemon that is stopped at once: nobody else looks for them before a next.
  changes_.spawn(remove_lost_slots(machine_.cgroup_host, machine_.daemon_group,
                                   state_dir_ + "/cells", machine_.spawner.run()));
  tasks_.spawn(open_rest(std::move(hibernated)));
  for (std::string& name : found.trash) empty_trash(std::move(name));
  tasks_.spawn(run_timers());
  tasks_.spawn(keep_room());
  tasks_.spawn(keep_key_uses());
  fresh_cells_.start();
}

// Runs that are not finished go on by that; what else a cell holds of memory is not needed yet.
asio::awaitable<void> Supervisor::open_rest(std::vector<std::string> ids) {
  for (const std::string& id : ids) {
    const auto found = cells_.find(id);
    if (found == cells_.end() || !found->second->awaits_open()) continue;
    try {
      std::string same_id = id;
      co_await ready(std::move(same_id));
    } catch (const Error& error) {  // It is in the log: others are opened all the same.
      if (error.code() == ErrorCode::canceled) throw;
    }
    std::string same_id = id;
    co_await async::run_to_end(changes_, unload(std::move(same_id)));
  }
}

asio::awaitable<Supervisor::CellPtr> Supervisor::ready(std::string cell_id) {
  if (const auto unloading = unloading_.find(cell_id); unloading != unloading_.end()) {
    const std::shared_ptr<async::Event> ended = unloading->second;
    co_await ended->wait();
  }
  CellPtr cell = find(cell_id);
  if (!cell || !cell->awaits_open()) co_return cell;
  CellPtr same = cell;  // Held all the while, or it could be unloaded as soon as it is open.
  co_await async::run_to_end(changes_, open_cell(std::move(same)));
  cell = find(cell_id);
  if (!cell || !cell->awaits_open()) co_return cell;
  throw Error(ErrorCode::unavailable, "cell_not_opened",
              "cell " + cell_id + " cannot be opened now: see the daemon's log",
              "try again later; its files are there");
}

void Supervisor::unload_unused(SteadyTime unused_before) {
  for (const auto& [id, cell] : cells_) {
    if (cell->is_unused_since(unused_before)) changes_.spawn(unload(id));
  }
}

// It is as after a start of the daemon then: opened when somebody asks for it.
asio::awaitable<void> Supervisor::unload(std::string cell_id) {
  const auto found = cells_.find(cell_id);
  const bool is_used = found == cells_.end() || found->second.use_count() > 1 ||
                       !found->second->is_unused_since(SteadyTime::max()) ||
                       openings_.contains(cell_id) || is_closing_->load();
  const auto ended = std::make_shared<async::Event>(machine_.executor);
  if (is_used || !unloading_.try_emplace(cell_id, ended).second) co_return;
  CellPtr cell = found->second;
  unloaded_bytes_ += cell->journal().stored_bytes();
  try {
    co_await cell->unload();
  } catch (const std::exception& error) {  // It is closed all the same, but for what failed.
    log::error("cell {}: {}", log::cell(cell_id), error.what());
  }
  count_gone(cell->network());
  const CellPtr next = unopened(cell->spec());
  next->go_on_from(*cell);
  cells_[cell_id] = next;
  cell.reset();
  log::debug("cell {} is unloaded", log::cell(cell_id));
  unloading_.erase(cell_id);
  ended->set();
}

asio::awaitable<void> Supervisor::give_memory_back() {
  unloaded_bytes_ = 0;
  auto trim = [] { ::malloc_trim(0); };
  co_await async::offload(machine_.pool, trim);
}

// Of one that could not be opened: what it has begun goes on.
asio::awaitable<void> Supervisor::let_go_of(CellPtr cell) {
  try {
    co_await cell->close(OnStop::keep);
  } catch (const std::exception& error) {
    log::error("cell {}: {}", log::cell(cell->spec().cell_id), error.what());
  }
}

asio::awaitable<void> Supervisor::open_cell(CellPtr cell) {
  const std::string id = cell->spec().cell_id;
  const auto [opening, is_first] =
      openings_.try_emplace(id, std::make_shared<async::Event>(machine_.executor));
  const std::shared_ptr<async::Event> ended = opening->second;
  if (!is_first) {
    co_await ended->wait();
    co_return;
  }
  bool has_failed = true;
  bool is_damaged = true;
  try {
    co_await cell->open(Cell::Origin::found);
    has_failed = false;
  } catch (const Error& error) {
    log::error("cell {} cannot be opened: {}", log::cell(id), error.what());
    is_damaged = error.code() != ErrorCode::exhausted;
  } catch (const std::exception& error) {
    log::error("cell {} cannot be opened: {}", log::cell(id), error.what());
  }
  if (has_failed) {
    if (!cell->awaits_open()) co_await let_go_of(cell);
    cells_.erase(id);
    if (!is_damaged) {  // A later attempt begins with nothing of this one.
      cells_[id] = unopened(cell->spec());
    }
  }
  openings_.erase(id);
  ended->set();
}

asio::awaitable<void> Supervisor::close() {
  is_closing_->store(true);
  co_await tasks_.close();
  co_await changes_.join();
  co_await fresh_cells_.close();
  co_await note_key_uses();
  std::deque<CellPtr> open;
  for (auto& [id, cell] : cells_) open.push_back(cell);
  // Some at once: where their processes are to end, each waits for that most of the time.
  async::TaskGroup closing(machine_.executor);
  for (std::size_t number = 0; number < kClosedAtOnce; ++number) closing.spawn(close_each(open));
  co_await closing.join();
  co_await closing.close();
  cells_.clear();
}

asio::awaitable<void> Supervisor::close_each(std::deque<CellPtr>& cells) {
  while (!cells.empty()) {
    const CellPtr cell = cells.front();
    cells.pop_front();
    co_await cell->close();
  }
}

void Supervisor::expect_end() {
  for (auto& [id, cell] : cells_) {
    if (cell->is_open()) cell->expect_end();  // Nothing was begun in others.
  }
}

// A cell that takes its time with one tick is passed over by the next ones, and holds up no others.
asio::awaitable<void> Supervisor::run_timers() {
  for (;;) {
    co_await async::sleep_for(kTimerPause);
    const WallTime now = wall_now();
    for (const auto& [id, cell] : cells_) {
      const bool has_something = cell->has_timers() || cell->is_to_wake(now);
      if (has_something && ticking_.insert(id).second) tasks_.spawn(tick(cell));
    }
    unload_unused(steady_now() - config_.unload_after);
    if (unloaded_bytes_ >= kUnloadedBytesMax) tasks_.spawn(give_memory_back());
  }
}

asio::awaitable<void> Supervisor::tick(CellPtr cell) {
  struct Ticking {
    std::set<std::string>& all;
    std::string id;
    ~Ticking() { all.erase(id); }
  } const ticking{ticking_, cell->spec().cell_id};
  try {
    const auto turn = co_await tick_turns_.turn();
    co_await tick_now(cell);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("cell {}: {}", log::cell(ticking.id), error.what());
  }
}

asio::awaitable<void> Supervisor::tick_now(CellPtr cell) {
  if (cell->is_to_wake(wall_now())) {
    std::string id = cell->spec().cell_id;
    co_await ready(std::move(id));
    if (cell->is_open()) co_await cell->keep_appointment();
  }
  co_await cell->tick();
  co_await cell->watch_ports();
}

asio::awaitable<void> Supervisor::keep_room() {
  for (;;) {
    co_await async::sleep_for(kTimerPause);
    try {
      co_await make_room();
    } catch (const Error& error) {  // What the machine does not tell now, it tells later.
      if (error.code() == ErrorCode::canceled) throw;
      log::warning("no room is made: {}", error.what());
    }
  }
}

// Where memory is short, those that nobody has used for the longest time hibernate first.
asio::awaitable<void> Supervisor::make_room() {
  Capacity& capacity = machine_.capacity;
  const Relief relief = capacity.relief();
  if (relief == Relief::none) co_return;
  for (const auto& [id, cell] : cells_) cell->let_go_of_fresh();
  std::vector<std::pair<SteadyTime, CellPtr>> spare;
  for (const auto& [id, cell] : cells_) {
    const auto since = cell->spare_since();
    if (since && *since < steady_now() - kSpareAfter) spare.emplace_back(*since, cell);
  }
  const auto earlier = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::sort(spare.begin(), spare.end(), earlier);
  for (const auto& [since, cell] : spare) {
    if (relief == Relief::until_reserve && !capacity.lacks_memory()) co_return;
    if (cell->spare_since() != since) continue;  // It was used meanwhile.
    try {
      co_await cell->hibernate("memory");
      capacity.relieved();
      log::info("cell {} is hibernated: memory is short", log::cell(cell->spec().cell_id));
      if (relief == Relief::one_cell) co_return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      if (error.code() == ErrorCode::conflict) continue;  // It is used again.
      log::warning("cell {}: {}", log::cell(cell->spec().cell_id), error.what());
    }
  }
}

// ---- cells ----

Supervisor::CellPtr Supervisor::get(std::string_view owner_id, std::string_view cell_id) const {
  const auto found = cells_.find(cell_id);
  if (found == cells_.end() || found->second->spec().owner_id != owner_id) {
    throw Error(ErrorCode::not_found, "cell_not_found", "no cell \"" + std::string(cell_id) + "\"",
                "list the cells with GET /api/v1/cells, or create one");
  }
  return found->second;
}

Supervisor::CellPtr Supervisor::find(std::string_view cell_id) const {
  const auto found = cells_.find(cell_id);
  return found == cells_.end() ? nullptr : found->second;
}

Supervisor::CellPtr Supervisor::find_customer(std::string_view owner_id,
                                              std::string_view customer_id) const {
  std::vector<std::string> ids = cell_ids_of(owner_id, customer_id);
  ids.push_back(old_cell_id_of(owner_id, customer_id));
  for (const std::string& id : ids) {
    const auto found = cells_.find(id);
    if (found == cells_.end()) continue;
    const CellSpec& spec = found->second->spec();
    if (spec.owner_id == owner_id && spec.customer_id == customer_id) return found->second;
  }
  return nullptr;
}

std::vector<Supervisor::CellPtr> Supervisor::cells_of(std::string_view owner_id) const {
  std::vector<CellPtr> list;
  for (const auto& [id, cell] : cells_) {
    if (cell->spec().owner_id == owner_id) list.push_back(cell);
  }
  std::sort(list.begin(), list.end(), [](const CellPtr& a, const CellPtr& b) {
    const auto place = [](const CellSpec& spec) {  // the same after a restart, which knows no less
      return std::make_pair(to_unix_ms(spec.created_at), std::string_view(spec.cell_id));
    };
    return place(a->spec()) < place(b->spec());
  });
  return list;
}

asio::awaitable<void> Supervisor::remove(std::string owner_id, std::string cell_id) {
  auto removing = remove_now(std::move(owner_id), std::move(cell_id));
  const auto emptied = co_await async::run_to_end(changes_, std::move(removing));
  co_await emptied->wait_for(kTrashWait);
}

asio::awaitable<std::shared_ptr<async::Event>> Supervisor::remove_now(std::string owner_id,
                                                                      std::string cell_id) {
  const auto turn = co_await turns_.turn();
  std::string same_id = cell_id;
  co_await ready(std::move(same_id));
  const CellPtr cell = get(owner_id, cell_id);
  co_await cell->destroy();
  std::string trash = co_await move_to_trash(cell->spec());  // Until then it can be deleted again.
  cell->set_gone();
  cells_.erase(cell_id);
  count_gone(cell->network());
  try {
    co_await forget_cell(cell->spec());
    co_await forget_domains_of(std::move(cell_id));
  } catch (const Error& error) {  // A full disk, which this makes room on; the next start does it.
    if (error.code() == ErrorCode::canceled) throw;
    log::error("cell {} is deleted, but not from the registry: {}", log::cell(cell->spec().cell_id),
               error.what());
  }
  co_return empty_trash(std::move(trash));
}

asio::awaitable<void> Supervisor::forget_cell(const CellSpec& spec) {
  auto forget = [id = spec.cell_id, index = spec.uid_index](store::Registry& registry) {
    fault_point("registry.before_forgotten");
    registry.rest_uid_index(index);
    return registry.remove_cell(id);
  };
  co_await with_registry(std::move(forget));
}

}  // namespace cellar::cell
