#include "cell/stock.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <optional>

#include "async/run_to_end.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::milliseconds kFirstRetryPause{1000};
constexpr std::chrono::milliseconds kLastRetryPause{60'000};

asio::awaitable<void> make_wanted(const Stock& stock, Capacity& capacity, async::TaskGroup& makings,
                                  bool& lacks_room) {
  if (!stock.lacks_one()) co_return;
  const bool has_room = capacity.has_memory_for(stock.room_bytes);
  if (!has_room && !lacks_room) log::info("no {} is made: memory is short", stock.what);
  lacks_room = !has_room;
  if (has_room) co_await async::run_to_end(makings, stock.make_one());
}

// What went wrong; throws where it was canceled.
asio::awaitable<std::optional<Error>> try_make(const Stock& stock, Capacity& capacity,
                                               async::TaskGroup& makings, bool& lacks_room) {
  try {
    co_await make_wanted(stock, capacity, makings, lacks_room);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return error;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    co_return Error(ErrorCode::internal, error.what());
  } catch (const std::exception& error) {  // No memory, for one: later there is some again.
    co_return Error(ErrorCode::internal, error.what());
  }
  co_return std::nullopt;
}

}  // namespace

asio::awaitable<void> keep_stock(Stock stock, Capacity& capacity, async::TaskGroup& makings) {
  std::chrono::milliseconds retry_pause = kFirstRetryPause;
  bool lacks_room = false;
  std::string told;
  for (;;) {
    co_await async::sleep_for(stock.pause);
    const auto failure = co_await try_make(stock, capacity, makings, lacks_room);
    if (!failure) {
      retry_pause = kFirstRetryPause;
      told.clear();
      continue;
    }
    if (told != failure->what()) log::warning("no {} is made: {}", stock.what, failure->what());
    told = failure->what();  // It may stay like this: an image without Node.js, for one.
    co_await async::sleep_for(retry_pause);
    retry_pause = std::min(2 * retry_pause, kLastRetryPause);
  }
}

}  // namespace cellar::cell
