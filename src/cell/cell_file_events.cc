// What happens to a cell's files, in its events.

#include "base/error.h"
#include "base/log.h"
#include "cell/cell.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cell {

asio::awaitable<void> Cell::begin_file_events(std::string why) {
  if (!spec_.file_events) co_return;
  if (!file_events_) {
    auto tell = [this](json::Value data) { return tell_files(std::move(data)); };
    file_events_ =
        std::make_unique<FileEvents>(machine_.executor, machine_.pool, *work_, std::move(tell));
    std::optional<std::string> unknown_since;
    if (!files_told_) unknown_since = std::move(why);
    co_await file_events_->begin(std::move(unknown_since));
  }
  if (files_told_) co_await forget_files_told();
}

asio::awaitable<void> Cell::rest_file_events(FilesToldFor how_long) {
  if (!file_events_) co_return;
  const bool is_told = co_await file_events_->settle();
  if (how_long == FilesToldFor::good) co_await close_file_events();
  // What is under way may still change something.
  if (is_told && waited_for().empty()) co_await note_files_told(how_long);
}

asio::awaitable<void> Cell::change_file_events() {
  if (!spec_.file_events) {
    co_await close_file_events();
  } else if (state_ == State::active) {
    co_await begin_file_events("enabled");
  } else {
    co_await tell_files_unknown("enabled");
  }
}

// As the cell is opened, and before its runs go on.
asio::awaitable<void> Cell::recall_file_events() {
  const auto turn = co_await transitions_.turn();
  if (!spec_.file_events || file_events_) co_return;
  const bool wakes_up = state_ == State::hibernated && has_runs_to_recover();
  if (wakes_up || (state_ == State::active && files_told_)) {
    co_await begin_file_events("daemon_restart");
  } else if (state_ == State::active) {
    changes_.spawn(begin_recalled_file_events());
  } else if (!files_told_) {
    co_await tell_files_unknown("daemon_restart");
  }
}

// Nobody waits for the look at all folders: what happens before its end is not known either.
asio::awaitable<void> Cell::begin_recalled_file_events() {
  const auto turn = co_await transitions_.turn();
  if (open_ && state_ == State::active) co_await begin_file_events("daemon_restart");
}

asio::awaitable<void> Cell::close_file_events() {
  if (!file_events_) co_return;
  co_await file_events_->close();
  file_events_.reset();
}

asio::awaitable<bool> Cell::tell_files(json::Value data) {
  journal::Event event{.type = "files.changed", .data = json::dump(data)};
  try {
    co_return co_await runner_->tell_if_room(std::move(event));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::debug("cell {}: of its files is told later: {}", log::cell(spec_.cell_id), error.what());
  }
  co_return false;
}

// It sleeps. Where this cannot be told now, it is when the cell wakes up.
asio::awaitable<void> Cell::tell_files_unknown(std::string why) {
  FileBatch unknown;
  unknown.reset(why);
  const bool is_told = co_await tell_files(unknown.data());
  if (!is_told) co_return;
  co_await note_files_told(state_ == State::paused ? FilesToldFor::this_boot : FilesToldFor::good);
}

// Without the note, what happened in its sleep is taken for unknown.
asio::awaitable<void> Cell::note_files_told(FilesToldFor how_long) {
  try {
    co_await journal_->sync();
    auto write = [path = layout_.files_told(), how_long] {
      const bool stays = how_long == FilesToldFor::good;
      sys::replace_file(path, encode_files_told(how_long), 0600,
                        stays ? sys::Durable::yes : sys::Durable::no);
    };
    co_await async::offload(machine_.pool, std::move(write));
    files_told_ = how_long;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("cell {}: that all of its files was told is not noted: {}",
                 log::cell(spec_.cell_id), error.what());
  }
}

asio::awaitable<void> Cell::forget_files_told() {
  auto remove = [path = layout_.files_told(), dir = layout_.run(), told = files_told_] {
    sys::remove_file(path);
    if (told != FilesToldFor::this_boot) sys::sync_dir(dir);
  };
  co_await async::offload(machine_.pool, std::move(remove));
  files_told_.reset();
}

}  // namespace cellar::cell
