#include "cell/checkpoints.h"

#include <algorithm>
#include <cctype>

#include "async/run_to_end.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "cell/work_diff.h"
#include "cell/work_files.h"
#include "json/reader.h"

namespace cellar::cell {
namespace {

// Of making and comparing: then others have their turn.
constexpr std::chrono::milliseconds kCheckpointSlice{20};
constexpr std::string_view kIdStart = "cp_";

// A step after the other until it is done, or a slice is over.
template <typename Work>
bool run_slice(Work& work) {
  const auto end = std::chrono::steady_clock::now() + kCheckpointSlice;
  while (work.step()) {
    if (std::chrono::steady_clock::now() >= end) return true;
  }
  return false;
}

}  // namespace

std::string checked_checkpoint_name(std::string name) {
  constexpr std::size_t kNameMax = 64;
  const bool is_fit = !name.empty() && name.size() <= kNameMax && name != kPresent &&
                      !name.starts_with(kIdStart) &&
                      std::all_of(name.begin(), name.end(), [](unsigned char c) {
                        return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                      });
  if (!is_fit) {
    json::Reader::refuse("name",
                         "1 to 64 letters, digits, '.', '_' and '-', but not \"now\", and not "
                         "begin with \"cp_\"");
  }
  return name;
}

Checkpoints::Checkpoints(const asio::any_io_executor& executor, async::Pool& pool,
                         const sys::BeneathDir& work, const std::string& dir)
    : pool_(pool),
      work_(work),
      store_(dir),
      changes_(executor, kChanging),
      comparing_(executor, kComparing),
      tasks_(executor) {
  try {
    store_.recover();
  } catch (const Error& error) {  // The cell is of use all the same.
    log::warning("{}: what is left of an unfinished checkpoint was not removed: {}", dir,
                 error.what());
  }
}

asio::awaitable<checkpoint::Head> Checkpoints::make(CheckpointRequest request, Parts parts) {
  const Stop stop = std::make_shared<std::atomic<bool>>(false);
  struct Leave {
    const Stop& stop;
    ~Leave() { *stop = true; }
  } const leave{stop};
  auto making = make_now(std::move(request), std::move(parts), stop);
  co_return co_await async::run_to_end(tasks_, std::move(making));
}

asio::awaitable<checkpoint::Head> Checkpoints::make_now(CheckpointRequest request, Parts parts,
                                                        Stop stop) {
  const auto turn = co_await changes_.turn();
  checkpoint::Head head{.id = std::string(kIdStart) + random_hex(8),
                        .name = std::move(request.name),
                        .message = std::move(request.message)};
  auto begin = [this, name = head.name] { store_.begin(name); };
  co_await async::offload(pool_, std::move(begin));
  std::exception_ptr failure;
  try {
    co_await take(head, parts, stop);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return head;
  // Where the cell is closed this is not reached: recover() does it.
  auto abandon = [this] { store_.abandon(); };
  co_await async::offload(pool_, abandon);
  std::rethrow_exception(failure);
}

asio::awaitable<void> Checkpoints::take(checkpoint::Head& head, const Parts& parts, Stop stop) {
  head.event_seq = parts.event_seq();
  std::string database = store_.new_object();
  const bool has_database = co_await parts.copy_database(database);
  if (!has_database) database.clear();
  head.created_at = wall_now();
  auto prepare = [this, database, stored_bytes_max = parts.stored_bytes_max] {
    std::optional<checkpoint::Earlier> earlier;
    const std::vector<checkpoint::Head> heads = store_.heads();
    if (!heads.empty()) {
      try {
        earlier = checkpoint::Earlier{.created_at = heads.back().created_at,
                                      .files = store_.files(heads.back())};
      } catch (const Error& error) {  // It costs only time.
        log::warning("checkpoint {}: {}", heads.back().id, error.what());
      }
    }
    const checkpoint::Limits limits{.stored_bytes_max = stored_bytes_max};
    auto taker =
        std::make_unique<checkpoint::Taker>(work_, store_, limits, std::move(earlier), database);
    return ended_by(pool_, std::move(taker));
  };
  const auto taker = co_await async::offload(pool_, std::move(prepare));
  auto slice = [taker] { return run_slice(*taker); };
  for (bool more = true; more;) {
    if (*stop) throw Error(ErrorCode::canceled, "nobody waits for the checkpoint any more");
    more = co_await async::offload(pool_, slice);
  }
  taker->tell(head);
  auto commit = [this, taker, head] { store_.commit(head, taker->files()); };
  co_await async::offload(pool_, std::move(commit));
}

asio::awaitable<std::vector<checkpoint::Head>> Checkpoints::list() {
  auto read = [this] { return store_.heads(); };
  co_return co_await async::offload(pool_, read);
}

asio::awaitable<checkpoint::Head> Checkpoints::get(std::string wanted) {
  const std::vector<checkpoint::Head> heads = co_await list();
  co_return find_checkpoint(heads, wanted);
}

asio::awaitable<void> Checkpoints::remove(std::string wanted) {
  co_await async::run_to_end(tasks_, remove_now(std::move(wanted)));
}

asio::awaitable<void> Checkpoints::remove_now(std::string wanted) {
  const auto turn = co_await changes_.turn();
  auto remove = [this, wanted = std::move(wanted)] {
    store_.remove(find_checkpoint(store_.heads(), wanted).id);
  };
  co_await async::offload(pool_, std::move(remove));
}

asio::awaitable<DiffAnswer> Checkpoints::diff(DiffRequest request) {
  const auto turn = co_await comparing_.turn();
  auto begin = [this, request = std::move(request)] {
    return ended_by(pool_, std::make_unique<WorkDiff>(work_, store_, request));
  };
  const auto work = co_await async::offload(pool_, std::move(begin));
  auto slice = [work] { return run_slice(*work); };
  for (bool more = true; more;) more = co_await async::offload(pool_, slice);
  co_return work->take();
}

}  // namespace cellar::cell
