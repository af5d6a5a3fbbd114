// What a cell gives to its checkpoints: its database, and its place in the journal.

#include "base/error.h"
#include "cell/capacity.h"
#include "cell/cell.h"
#include "sys/file.h"

namespace cellar::cell {

asio::awaitable<checkpoint::Head> Cell::make_checkpoint(CheckpointRequest request) {
  require_open();
  machine_.capacity.require_disk();
  Checkpoints::Parts parts;
  parts.stored_bytes_max = quota_.ledger().limits().bytes;
  parts.event_seq = [this] { return journal_->last_durable(); };
  parts.copy_database = [this](std::string path) { return copy_database(std::move(path)); };
  const checkpoint::Head head = co_await checkpoints_->make(std::move(request), std::move(parts));
  json::Value data = json::object({{"id", head.id}});
  if (!head.name.empty()) data.as_object().set("name", head.name);
  tell("checkpoint.created", std::move(data));
  co_return head;
}

asio::awaitable<checkpoint::Head> Cell::remove_checkpoint(std::string wanted) {
  require_open();
  checkpoint::Head head = co_await checkpoints_->get(std::move(wanted));
  co_await checkpoints_->remove(head.id);
  tell("checkpoint.deleted", json::object({{"id", head.id}}));
  co_return head;
}

asio::awaitable<bool> Cell::copy_database(std::string path) {
  auto look = [file = layout_.database()] { return sys::exists(file); };
  const bool is_there = co_await async::offload(machine_.pool, std::move(look));
  if (!is_there) co_return false;
  // Not in a turn of the database: its calls go on meanwhile.
  auto copy = [file = layout_.database(), path = std::move(path)] {
    store::Database::copy(file, path);
  };
  co_await async::offload(machine_.pool, std::move(copy));
  co_return true;
}

}  // namespace cellar::cell
