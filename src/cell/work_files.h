#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "cell/work_find.h"
#include "sys/beneath.h"
#include "sys/tar_folder.h"

namespace cellar::cell {

namespace asio = boost::asio;

// An object whose end blocks, as it closes and removes files: whoever lets go of it last, it ends
// on the pool.
template <typename T>
std::shared_ptr<T> ended_by(async::Pool& pool, std::unique_ptr<T> object) {
  auto end = [&pool](T* last) { pool.post([owned = std::unique_ptr<T>(last)] {}); };
  return std::shared_ptr<T>(object.release(), end);
}

// What a file must be, or must not be, for it to be changed: If-Match and If-None-Match of HTTP.
struct FileConditions {
  struct Tags {
    bool any = false;  // "*"
    std::vector<std::string> tags;
  };
  std::optional<Tags> match;
  std::optional<Tags> none_match;
};

// Throws Error `conflict`, reason `precondition_failed`, where the file `path` is not as asked.
// `tag` is that of the file; nullopt where nothing is there, empty for what is no file.
void require(const FileConditions& conditions, const std::string& path,
             const std::optional<std::string>& tag);

// What changes a cell's files for its API. One change at a time is looked at and made, so that what
// a condition found is what is changed, whoever else uses the API; programs in the cell are not
// held up. All is durable when it returns. Loop thread only; what blocks goes to the pool.
class WorkFiles {
 public:
  // All must outlive it.
  WorkFiles(const asio::any_io_executor& executor, async::Pool& pool, const sys::BeneathDir& work)
      : pool_(pool), work_(work), changes_(executor), finding_(executor, kFinding) {}

  struct Written {
    std::uint64_t size_bytes = 0;
    std::string tag;  // empty where it may be another file by now
  };

  // Replaces a file; see BeneathDir::begin_write().
  asio::awaitable<Written> write(std::string path, std::string bytes, sys::WriteOptions options,
                                 FileConditions conditions);
  // The same piece by piece: add() as often as wanted, and commit(). Nothing is left of a file that
  // is let go of before.
  using Pending = std::shared_ptr<sys::PendingFile>;  // shared with the job that writes
  asio::awaitable<Pending> begin(std::string path, sys::WriteOptions options);
  asio::awaitable<void> add(Pending file, std::string bytes);
  asio::awaitable<Written> commit(Pending file, std::string path, FileConditions conditions);

  // As BeneathDir's; false where nothing is there.
  asio::awaitable<Written> append(std::string path, std::string bytes, sys::WriteOptions options,
                                  FileConditions conditions);
  asio::awaitable<bool> remove(std::string path, FileConditions conditions);
  asio::awaitable<bool> rename(std::string from, std::string to, sys::Existing existing);
  asio::awaitable<bool> make_folder(std::string path, mode_t mode);
  asio::awaitable<bool> set_mode(std::string path, mode_t mode);

  // A piece of an archive: what it replaces is in turn with the other changes, piece by piece.
  // Durable only once the archive is finished.
  asio::awaitable<void> feed(std::shared_ptr<sys::TarUnpacker> unpacker, std::string bytes);

  // A few of a cell at a time, in slices.
  asio::awaitable<GlobAnswer> glob(GlobRequest request);
  asio::awaitable<GrepAnswer> grep(GrepRequest request);

  // Counts one who watches, as long as the object exists. Throws Error `exhausted`, reason
  // `too_many_watches`, where kWatchesMax do.
  static constexpr std::size_t kWatchesMax = 16;
  using WatchPlace = std::shared_ptr<void>;
  WatchPlace begin_watch();

 private:
  // Of glob() and grep(). Throws Error `unavailable` beyond.
  static constexpr async::SerialLimits kFinding{.at_once = 2, .waiters_max = 100};

  template <typename Job>
  auto in_turn(Job job) -> asio::awaitable<std::invoke_result_t<Job&>>;
  template <typename Finder, typename Request>
  asio::awaitable<std::shared_ptr<Finder>> find(Request request);

  async::Pool& pool_;
  const sys::BeneathDir& work_;
  async::Serial changes_;
  async::Serial finding_;
  // Shared with the places, which may outlive this.
  std::shared_ptr<std::size_t> watch_count_ = std::make_shared<std::size_t>(0);
};

}  // namespace cellar::cell
