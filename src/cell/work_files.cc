#include "cell/work_files.h"

#include <algorithm>

#include "async/sleep.h"
#include "base/error.h"
#include "sys/file_tag.h"

namespace cellar::cell {
namespace {

// Of a search through files: then others have their turn.
constexpr std::chrono::milliseconds kFindSlice{20};

[[noreturn]] void refuse_change(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::conflict, "precondition_failed", "file \"" + path + "\" " + what,
              "read it again, and decide anew");
}

// nullopt where nothing is there; empty for what is no file.
std::optional<std::string> tag_at(const sys::BeneathDir& work, const std::string& path) {
  const auto file = work.open_itself(path);
  if (!file) return std::nullopt;
  return file->fd ? sys::tag_of(*file) : "";
}

void require_at(const sys::BeneathDir& work, const std::string& path,
                const FileConditions& conditions) {
  if (!conditions.match && !conditions.none_match) return;
  require(conditions, path, tag_at(work, path));
}

std::string_view opaque(std::string_view tag) { return sys::is_weak(tag) ? tag.substr(2) : tag; }

WorkFiles::Written written_at(const sys::BeneathDir& work, const std::string& path) {
  const auto file = work.open_itself(path);
  if (!file || !file->fd) return {};
  return {.size_bytes = file->stat.size_bytes, .tag = sys::tag_of(*file)};
}

}  // namespace

void require(const FileConditions& conditions, const std::string& path,
             const std::optional<std::string>& tag) {
  if (conditions.match && !tag) refuse_change(path, "is not there");
  if (conditions.match && !conditions.match->any) {
    const auto& tags = conditions.match->tags;
    const bool is_known = std::find(tags.begin(), tags.end(), *tag) != tags.end();
    if (!is_known || sys::is_weak(*tag) || tag->empty()) {
      refuse_change(path, "is not the one that If-Match names");
    }
  }
  if (!conditions.none_match || !tag) return;
  if (conditions.none_match->any) refuse_change(path, "is there already");
  for (const std::string& other : conditions.none_match->tags) {
    if (opaque(other) == opaque(*tag)) refuse_change(path, "is one that If-None-Match names");
  }
}

template <typename Job>
auto WorkFiles::in_turn(Job job) -> asio::awaitable<std::invoke_result_t<Job&>> {
  const auto turn = co_await changes_.turn();
  co_return co_await async::offload(pool_, std::move(job));
}

asio::awaitable<WorkFiles::Written> WorkFiles::write(std::string path, std::string bytes,
                                                     sys::WriteOptions options,
                                                     FileConditions conditions) {
  Written written;
  written.size_bytes = bytes.size();
  if (bytes.size() > sys::kDigestedBytesMax) {
    const Pending file = co_await begin(path, options);
    co_await add(file, std::move(bytes));
    co_return co_await commit(file, std::move(path), std::move(conditions));
  }
  auto prepare = [this, path, options, bytes = std::move(bytes)] {
    sys::PendingFile file = work_.begin_write(path, options);
    file.write(bytes);
    file.finish(sys::Durable::yes);
    auto pending = std::make_unique<sys::PendingFile>(std::move(file));
    return std::make_pair(ended_by(pool_, std::move(pending)), sys::digest_tag(bytes));
  };
  const auto [file, tag] = co_await async::offload(pool_, std::move(prepare));
  auto replace = [this, path, file, conditions = std::move(conditions)] {
    require_at(work_, path, conditions);
    file->replace(sys::Durable::yes);
  };
  co_await in_turn(std::move(replace));
  written.tag = tag;
  co_return written;
}

asio::awaitable<WorkFiles::Pending> WorkFiles::begin(std::string path, sys::WriteOptions options) {
  auto open = [this, path = std::move(path), options] {
    auto file = std::make_unique<sys::PendingFile>(work_.begin_write(path, options));
    return ended_by(pool_, std::move(file));
  };
  co_return co_await async::offload(pool_, std::move(open));
}

asio::awaitable<void> WorkFiles::add(Pending file, std::string bytes) {
  auto write = [file, bytes = std::move(bytes)] { file->write(bytes); };
  co_await async::offload(pool_, std::move(write));
}

asio::awaitable<WorkFiles::Written> WorkFiles::commit(Pending file, std::string path,
                                                      FileConditions conditions) {
  auto finish = [file] {
    file->finish(sys::Durable::yes);
    return file->stat();
  };
  const sys::FileStat whole = co_await async::offload(pool_, std::move(finish));
  auto replace = [this, path, file, conditions = std::move(conditions)] {
    require_at(work_, path, conditions);
    file->replace(sys::Durable::yes);
  };
  co_await in_turn(std::move(replace));
  if (whole.size_bytes > sys::kDigestedBytesMax) {
    co_await async::sleep_for(sys::kClockGrain);  // Its tag is strong then.
  }
  auto look = [this, path, whole] {
    Written written{.size_bytes = whole.size_bytes, .tag = {}};
    const auto now = work_.open_itself(path);
    const bool is_ours = now && now->fd && now->stat.inode == whole.inode &&
                         now->stat.mtime_ns == whole.mtime_ns &&
                         now->stat.size_bytes == whole.size_bytes;
    if (is_ours) written.tag = sys::tag_of(*now);
    return written;
  };
  co_return co_await async::offload(pool_, std::move(look));
}

asio::awaitable<WorkFiles::Written> WorkFiles::append(std::string path, std::string bytes,
                                                      sys::WriteOptions options,
                                                      FileConditions conditions) {
  auto append = [this, path = std::move(path), bytes = std::move(bytes), options,
                 conditions = std::move(conditions)] {
    require_at(work_, path, conditions);
    work_.append(path, bytes, options);
    return written_at(work_, path);
  };
  co_return co_await in_turn(std::move(append));
}

asio::awaitable<bool> WorkFiles::remove(std::string path, FileConditions conditions) {
  // All of it in one turn: what another call moves out of a folder meanwhile would go with it.
  auto remove = [this, path = std::move(path), conditions = std::move(conditions)] {
    require_at(work_, path, conditions);
    const sys::Removed removed = work_.remove_file(path);
    if (removed == sys::Removed::is_folder) return work_.remove(path);
    return removed == sys::Removed::removed;
  };
  co_return co_await in_turn(std::move(remove));
}

asio::awaitable<bool> WorkFiles::rename(std::string from, std::string to, sys::Existing existing) {
  auto rename = [this, from = std::move(from), to = std::move(to), existing] {
    return work_.rename(from, to, existing);
  };
  co_return co_await in_turn(std::move(rename));
}

asio::awaitable<bool> WorkFiles::make_folder(std::string path, mode_t mode) {
  auto make = [this, path = std::move(path), mode] { return work_.make_folder(path, mode); };
  co_return co_await in_turn(std::move(make));
}

asio::awaitable<bool> WorkFiles::set_mode(std::string path, mode_t mode) {
  auto set = [this, path = std::move(path), mode] { return work_.set_mode(path, mode); };
  co_return co_await in_turn(std::move(set));
}

asio::awaitable<void> WorkFiles::feed(std::shared_ptr<sys::TarUnpacker> unpacker,
                                      std::string bytes) {
  auto unpack = [unpacker, bytes = std::move(bytes)] { unpacker->feed(bytes); };
  co_await in_turn(std::move(unpack));
}

WorkFiles::WatchPlace WorkFiles::begin_watch() {
  if (*watch_count_ == kWatchesMax) {
    throw Error(ErrorCode::exhausted, "too_many_watches",
                "the cell's files are watched " + std::to_string(kWatchesMax) + " times already",
                "end one of these streams, or share one");
  }
  ++*watch_count_;
  return WatchPlace(nullptr, [count = watch_count_](void*) { --*count; });
}

template <typename Finder, typename Request>
asio::awaitable<std::shared_ptr<Finder>> WorkFiles::find(Request request) {
  const auto turn = co_await finding_.turn();
  auto begin = [this, request = std::move(request)] {
    return std::make_shared<Finder>(work_, request);
  };
  const auto finder = co_await async::offload(pool_, std::move(begin));
  for (bool more = true; more;) {
    auto slice = [finder] {
      const auto end = std::chrono::steady_clock::now() + kFindSlice;
      while (finder->step()) {
        if (std::chrono::steady_clock::now() >= end) return true;
      }
      return false;
    };
    more = co_await async::offload(pool_, std::move(slice));
  }
  co_return finder;
}

asio::awaitable<GlobAnswer> WorkFiles::glob(GlobRequest request) {
  const auto finder = co_await find<Globber>(std::move(request));
  co_return finder->take();
}

asio::awaitable<GrepAnswer> WorkFiles::grep(GrepRequest request) {
  const auto finder = co_await find<Grepper>(std::move(request));
  co_return finder->take();
}

}  // namespace cellar::cell
