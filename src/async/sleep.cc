#include "async/sleep.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"

namespace cellar::async {

asio::awaitable<void> sleep_for(std::chrono::milliseconds length) {
  asio::steady_timer timer(co_await asio::this_coro::executor, length);
  const auto result = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (std::get<0>(result)) throw Error(ErrorCode::canceled, "canceled while sleeping");
}

asio::awaitable<void> poll_until(std::string what, std::function<bool()> probe,
                                 std::chrono::milliseconds limit,
                                 std::chrono::milliseconds max_pause) {
  const auto give_up = std::chrono::steady_clock::now() + limit;
  std::chrono::milliseconds pause{1};
  while (!probe()) {
    if (std::chrono::steady_clock::now() >= give_up) {
      throw Error(ErrorCode::unavailable,
                  what + " not ready after " + std::to_string(limit.count()) + " ms");
    }
    co_await sleep_for(pause);
    pause = std::min(pause * 2, max_pause);
  }
}

}  // namespace cellar::async
