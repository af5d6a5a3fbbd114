#include "cell/file_events.h"

#include <algorithm>

#include "async/sleep.h"
#include "base/error.h"
#include "cell/work_files.h"
#include "sys/node.h"

namespace cellar::cell {
namespace {

using FileClock = std::chrono::steady_clock;

std::chrono::milliseconds left_until(FileClock::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - FileClock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

}  // namespace

FileEvents::FileEvents(const asio::any_io_executor& executor, async::Pool& pool,
                       const sys::BeneathDir& work, Tell tell, const Options& options)
    : executor_(executor),
      pool_(pool),
      work_(work),
      tell_(std::move(tell)),
      options_(options),
      turns_(executor),
      pace_(options.each, options.burst),
      tasks_(executor) {}

asio::awaitable<void> FileEvents::begin(std::optional<std::string> unknown_since) {
  const auto turn = co_await turns_.turn();
  const bool can_watch = co_await watch();
  if (can_watch && unknown_since) batch_.reset(*unknown_since);
  co_await tell_now();
  tasks_.spawn(follow());
}

asio::awaitable<bool> FileEvents::settle() {
  const auto turn = co_await turns_.turn();
  co_await look_now();
  const bool is_told = co_await tell_now();
  co_return is_told&& watch_ != nullptr;
}

asio::awaitable<void> FileEvents::close() { co_await tasks_.close(); }

asio::awaitable<void> FileEvents::follow() {
  for (;;) {
    co_await tell_until_told();
    if (watch_) {
      async::SharedDescriptor descriptor = descriptor_;
      co_await async::readable(std::move(descriptor));
      co_await gather();
    } else {
      co_await async::sleep_for(options_.try_again);
      co_await watch_again();
    }
    if (!batch_.empty()) co_await wait_for_turn();
    co_await tell_until_told();
    if (have_rules_changed_) co_await read_rules_again();
  }
}

asio::awaitable<void> FileEvents::gather() {
  const auto end = FileClock::now() + options_.longest;
  for (bool has_news = true; has_news && FileClock::now() < end;) {
    co_await async::sleep_for(options_.quiet);
    has_news = co_await look();
    // Each look after more than the kernel keeps goes through all folders.
    if (batch_.is_reset()) co_await async::sleep_for(left_until(end));
  }
}

// What happens meanwhile is told with the rest.
asio::awaitable<void> FileEvents::wait_for_turn() {
  const auto due = FileClock::now() + pace_.next(FileClock::now());
  while (left_until(due).count() > 0) {
    if (batch_.is_reset() || !descriptor_) {
      co_await async::sleep_for(left_until(due));
      continue;
    }
    async::SharedDescriptor descriptor = descriptor_;
    const bool has_news = co_await async::readable(std::move(descriptor), left_until(due));
    if (!has_news) continue;
    co_await async::sleep_for(options_.quiet);
    co_await look();
  }
}

asio::awaitable<void> FileEvents::tell_until_told() {
  for (bool is_told = false; !is_told;) {
    {
      const auto turn = co_await turns_.turn();
      is_told = co_await tell_now();
    }
    if (is_told) co_return;
    co_await async::sleep_for(options_.room_again);
    co_await look();
  }
}

asio::awaitable<void> FileEvents::watch_again() {
  const auto turn = co_await turns_.turn();
  const FileBatch before = batch_;
  const bool can_watch = co_await watch();
  batch_ = before;  // That it cannot be watched was told.
  if (can_watch) batch_.reset("watched_again");
}

// The old watch tells what happens until the new one does: nothing is left out between them.
asio::awaitable<void> FileEvents::read_rules_again() {
  have_rules_changed_ = false;
  const auto turn = co_await turns_.turn();
  if (!watch_) co_return;
  const std::shared_ptr<WorkWatch> old = watch_;
  const bool can_watch = co_await watch();
  if (!can_watch) co_return;
  auto take = [old] { return old->take(); };
  try {
    add(co_await async::offload(pool_, std::move(take)));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    batch_.reset("overflow");
  }
  have_rules_changed_ = false;
}

asio::awaitable<bool> FileEvents::look() {
  const auto turn = co_await turns_.turn();
  co_return co_await look_now();
}

asio::awaitable<bool> FileEvents::look_now() {
  if (!watch_) co_return false;
  std::optional<Error> failure;
  try {
    auto take = [watch = watch_] { return watch->take(); };
    const WorkWatch::Changes changes = co_await async::offload(pool_, std::move(take));
    add(changes);
    if (changes.has_overflown) hear();  // It began anew.
    if (!changes.is_gone) co_return !changes.list.empty() || !changes.noted.empty();
    failure.emplace(ErrorCode::not_found, "files_gone", "the folder /work itself was removed");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = error;
  }
  lose(*failure);
  co_return true;
}

asio::awaitable<bool> FileEvents::tell_now() {
  if (batch_.empty()) co_return true;
  json::Value data = batch_.data();
  const bool is_told = co_await tell_(std::move(data));
  if (is_told) batch_ = FileBatch();
  co_return is_told;
}

asio::awaitable<bool> FileEvents::watch() {
  auto make = [this] {
    auto watch = std::make_unique<WorkWatch>(work_, ".", WorkScope::searched, options_.limits,
                                             LeftOutFolders::noted);
    return ended_by(pool_, std::move(watch));
  };
  std::optional<Error> failure;
  try {
    watch_ = co_await async::offload(pool_, std::move(make));
    hear();
    co_return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = error;
  }
  lose(*failure);
  co_return false;
}

void FileEvents::add(const WorkWatch::Changes& changes) {
  for (const FileChange& change : changes.list) {
    batch_.add(change);
    const bool is_rule = sys::name_of(change.path) == kIgnoreFile ||
                         (!change.from.empty() && sys::name_of(change.from) == kIgnoreFile);
    have_rules_changed_ = have_rules_changed_ || is_rule;
  }
  for (const std::string& folder : changes.noted) batch_.add_below(folder);
  if (changes.has_overflown) batch_.reset("overflow");
}

void FileEvents::lose(const Error& why) {
  batch_.lose(why);
  watch_.reset();
  if (descriptor_) descriptor_->cancel();
  descriptor_.reset();
}

// Who waits for the one before waits for this one.
void FileEvents::hear() {
  if (descriptor_) descriptor_->cancel();
  sys::Fd own = sys::duplicate(watch_->descriptor());
  descriptor_ = std::make_shared<asio::posix::stream_descriptor>(executor_, own.release());
}

}  // namespace cellar::cell
