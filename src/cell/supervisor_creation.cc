// How a cell comes to be: what is chosen for it, and what was made ahead.

#include <algorithm>
#include <utility>

#include "async/run_to_end.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "cell/identity.h"
#include "cell/supervisor.h"
#include "sys/directory.h"

namespace cellar::cell {
namespace {

// For a new cell: no other customer's, also where its cell could not be opened.
std::string free_cell_id(store::Registry& registry, std::string_view owner_id,
                         std::string_view customer_id) {
  for (std::string& id : cell_ids_of(owner_id, customer_id)) {
    const auto row = registry.find_cell(id);
    if (!row || row->customer_id == customer_id) return std::move(id);
  }
  throw Error(
      ErrorCode::conflict, "cell_id_taken",
      "other customers' cells have the ids of customer \"" + std::string(customer_id) + "\"",
      "delete these cells, or call the customer otherwise");
}

struct ChosenImage {
  std::string name;
  std::string digest;
};

// What a new cell starts from. The default is the image of that name where one was made here.
ChosenImage choose_image(const image::Store& images, const std::string& name) {
  if (name == "dev") return {name, ""};
  const auto image = images.find(name);
  if (image) return {name, image->digest};
  if (name == image::kDefaultName) return {"dev", ""};
  throw Error(ErrorCode::not_found, "image_not_found", "no image \"" + name + "\"",
              "see `cellar image ls` on the daemon's machine, and make one with `cellar image`");
}

// An image is for life: settings of a cell that is there may name only the one it has.
void require_same_image(const CellSpec& spec, const std::optional<std::string>& asked) {
  if (!asked || *asked == image::kDefaultName || *asked == spec.image) return;
  throw Error(
      ErrorCode::conflict, "image_differs",
      "cell " + spec.cell_id + " has the image \"" + spec.image + "\", not \"" + *asked + "\"",
      "delete the cell and create it again, or leave \"image\" out");
}

// A runtime is for life, too, and never weaker than the floor.
sandbox::Runtime choose_runtime(const CellSettings& settings, sandbox::Runtime floor) {
  const sandbox::Runtime chosen = settings.runtime.value_or(floor);
  if (chosen >= floor) return chosen;
  throw Error(ErrorCode::invalid_argument, "runtime_too_weak",
              "this daemon runs no cell on a runtime weaker than " + std::string(name_of(floor)),
              "leave \"runtime\" out, or set it to \"" + std::string(name_of(floor)) + "\"");
}

// As fresh cells are.
bool is_usual(const CellSettings& settings, sandbox::Runtime runtime) {
  const CellSpec usual;
  return runtime == usual.runtime && settings.tier.value_or(usual.tier) == usual.tier &&
         settings.image.value_or(std::string(image::kDefaultName)) == image::kDefaultName;
}

// False where something is in the way, which is told.
bool try_move(const std::string& from, const std::string& to) {
  fault_point("fresh.before_moved");
  try {
    sys::rename_file(from, to);
  } catch (const Error& error) {
    log::warning("{}: what was made ahead is of no use: {}", to, error.what());
    return false;
  }
  fault_point("fresh.moved");
  return true;
}

void require_same_runtime(const CellSpec& spec, std::optional<sandbox::Runtime> asked) {
  if (!asked || *asked == spec.runtime) return;
  const std::string has(name_of(spec.runtime));
  throw Error(
      ErrorCode::conflict, "runtime_differs",
      "cell " + spec.cell_id + " runs on " + has + ", not on " + std::string(name_of(*asked)),
      "delete the cell and create it again, or leave \"runtime\" out");
}

}  // namespace

asio::awaitable<Supervisor::Created> Supervisor::create(std::string owner_id,
                                                        std::string customer_id,
                                                        CellSettings settings) {
  check_customer_id(customer_id);
  Cell::check(settings);
  if (settings.network) check_forwards(*settings.network, machine_.forwards);
  // Before its turn comes: a probe takes most of a second.
  const bool is_new = find_customer(owner_id, customer_id) == nullptr;
  if (is_new && choose_runtime(settings, machine_.runtime_floor) == sandbox::Runtime::gvisor) {
    co_await machine_.spawner.require_gvisor();
  }
  auto creating = create_now(std::move(owner_id), std::move(customer_id), std::move(settings));
  co_return co_await async::run_to_end(changes_, std::move(creating));
}

asio::awaitable<Supervisor::Created> Supervisor::create_now(std::string owner_id,
                                                            std::string customer_id,
                                                            CellSettings settings) {
  const auto turn = co_await turns_.turn();
  CellPtr found = find_customer(owner_id, customer_id);
  if (found) {
    std::string found_id = found->spec().cell_id;
    found.reset();
    const CellPtr held = co_await ready(std::move(found_id));
    found = find_customer(owner_id, customer_id);
  }
  if (found) {
    Created existing{std::move(found), false};
    require_same_image(existing.cell->spec(), settings.image);
    require_same_runtime(existing.cell->spec(), settings.runtime);
    co_await existing.cell->apply(std::move(settings));
    co_return existing;
  }
  machine_.capacity.require_disk();
  const sandbox::Runtime runtime = choose_runtime(settings, machine_.runtime_floor);
  const std::string asked = settings.image.value_or(std::string(image::kDefaultName));
  auto choose = [images = machine_.images, asked] { return choose_image(images, asked); };
  const ChosenImage chosen = co_await async::offload(machine_.pool, std::move(choose));
  CellSpec spec;
  spec.owner_id = std::move(owner_id);
  spec.customer_id = std::move(customer_id);
  spec.image = chosen.name;
  spec.image_digest = chosen.digest;
  spec.runtime = runtime;
  spec.idle_timeout = config_.idle_timeout;
  spec.max_awake = config_.max_awake;
  spec.run_retention = config_.run_retention;
  spec.created_at = spec.last_active_at = wall_now();
  std::optional<FreshCell> fresh;
  if (is_usual(settings, runtime)) fresh = fresh_cells_.take(chosen.digest);
  Created created{nullptr, true};
  std::exception_ptr failure;
  try {
    created.cell = co_await make_cell(std::move(spec), std::move(settings), fresh);
  } catch (...) {
    failure = std::current_exception();
  }
  if (fresh) {  // Before anybody uses the cell, which may have its files, ids and slot.
    FreshCell useless = std::move(*fresh);
    co_await fresh_cells_.end(std::move(useless));
  }
  if (failure) std::rethrow_exception(failure);
  co_return created;
}

asio::awaitable<Supervisor::CellPtr> Supervisor::make_cell(CellSpec spec, CellSettings settings,
                                                           std::optional<FreshCell>& fresh) {
  std::optional<std::uint32_t> reserved;
  if (fresh) reserved = fresh->uid_index;
  auto add = [spec, reserved](store::Registry& registry) {
    const std::string free = free_cell_id(registry, spec.owner_id, spec.customer_id);
    return registry.get_or_add_cell(free, spec.owner_id, spec.customer_id, spec.created_at,
                                    reserved);
  };
  const auto added = co_await with_registry(std::move(add));
  const std::string& id = added.row.cell_id;
  // A row without a folder is what a cell left that could not be made, or forgotten, to the end.
  if (!added.is_new && sys::exists(layout_of(id).dir)) {
    throw Error(ErrorCode::unavailable, "cell_damaged",
                "cell " + id + " is on disk, but could not be opened: see the daemon's log");
  }
  spec.cell_id = id;
  spec.uid_index = added.row.uid_index;
  const CellPtr cell = unopened(spec);
  bool has_fresh_files = false;
  if (fresh && added.is_new) {
    auto move = [from = fresh->dir, to = layout_of(id).dir] { return try_move(from, to); };
    has_fresh_files = co_await async::offload(machine_.pool, std::move(move));
  }
  std::exception_ptr failure;
  try {
    co_await cell->open(Cell::Origin::made);
    co_await cell->apply(std::move(settings));
    if (has_fresh_files) co_await adopt(*cell, fresh);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await undo(cell);
    std::rethrow_exception(failure);
  }
  cells_[id] = cell;
  ++machine_.measures.cells_made;
  co_return cell;
}

// Of a cell that could not be made to the end nothing stays, or its customer could not try again.
asio::awaitable<void> Supervisor::undo(CellPtr cell) {
  const auto complain = [&cell](const Error& error) {
    log::error("cell {}, which could not be made: {}", log::cell(cell->spec().cell_id),
               error.what());
  };
  bool is_closed = cell->awaits_open();
  std::string trash;
  try {
    if (!is_closed) co_await cell->destroy();
    is_closed = true;
    trash = co_await move_to_trash(cell->spec());
    cell->set_gone();
    co_await forget_cell(cell->spec());
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    complain(error);
  }
  if (!is_closed) co_await cell->close(OnStop::keep);
  if (!trash.empty()) empty_trash(std::move(trash));
}

asio::awaitable<void> Supervisor::adopt(Cell& cell, std::optional<FreshCell>& fresh) {
  try {
    co_await cell.adopt(*fresh);
    fresh.reset();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("cell {}: what was made ahead is of no use: {}", log::cell(cell.spec().cell_id),
                 error.what());
  }
}

FreshCells::Options Supervisor::fresh_options() {
  const auto reserve = [](store::Registry& registry) { return registry.reserve_uid_index(); };
  const auto free = [this](std::uint32_t index) {
    return with_registry([index](store::Registry& registry) { registry.end_rest(index); });
  };
  const bool are_of_use = machine_.runtime_floor == sandbox::Runtime::native;
  return {.count = are_of_use ? machine_.fresh_cells : 0,
          .dir = state_dir_ + "/fresh",
          .reserve_uid_index = [this, reserve] { return with_registry(reserve); },
          .free_uid_index = free};
}

}  // namespace cellar::cell
