// Files of deleted cells. They go behind the deletion: a large tree takes minutes, in which other
// cells come and go.

#include <utility>

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "cell/supervisor.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::string_view kTrash = ".deleted-";  // then the uid index, "-", and anything

}  // namespace

std::optional<std::uint32_t> uid_index_in_trash(std::string_view name) {
  if (!name.starts_with(kTrash)) return std::nullopt;
  name.remove_prefix(kTrash.size());
  const std::size_t end = name.find('-');
  const auto index = end == name.npos ? std::nullopt : parse_int(name.substr(0, end));
  if (!index || !std::in_range<std::uint32_t>(*index)) return std::nullopt;
  return static_cast<std::uint32_t>(*index);
}

asio::awaitable<std::string> Supervisor::move_to_trash(const CellSpec& spec) {
  const std::string trash =
      std::string(kTrash) + std::to_string(spec.uid_index) + "-" + random_hex(8);
  auto rename = [cells = state_dir_ + "/cells/", id = spec.cell_id, trash] {
    fault_point("trash.before_moved");
    if (sys::exists(cells + id))
      sys::rename_file(cells + id, cells + trash);  // Else it was before.
    sys::sync_dir(cells);
  };
  co_await async::offload(machine_.pool, std::move(rename));
  co_return trash;
}

std::shared_ptr<async::Event> Supervisor::empty_trash(std::string name) {
  auto emptied = std::make_shared<async::Event>(machine_.executor);
  tasks_.spawn(empty(std::move(name), emptied));
  return emptied;
}

asio::awaitable<void> Supervisor::empty(std::string name, std::shared_ptr<async::Event> emptied) {
  const auto turn = co_await trash_turns_.turn();
  auto remove_files = [trash = state_dir_ + "/cells/" + name, stop = is_closing_] {
    fault_point("trash.before_removed");
    return CellLayout{trash}.remove([&] { return !stop->load(); });
  };
  try {
    if (!co_await async::offload(machine_.pool, std::move(remove_files))) co_return;
  } catch (const Error& error) {
    log::error("what is left of a deleted cell cannot be removed before the next start: {}",
               error.what());
    co_return;
  }
  if (const auto index = uid_index_in_trash(name)) {
    auto free = [index](store::Registry& registry) { registry.end_rest(*index); };
    co_await with_registry(std::move(free));
  }
  emptied->set();
}

}  // namespace cellar::cell
