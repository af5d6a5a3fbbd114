#include "async/readable.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"

namespace cellar::async {

asio::awaitable<bool> readable(SharedDescriptor descriptor,
                               std::optional<std::chrono::milliseconds> limit) {
  asio::steady_timer timer(descriptor->get_executor());
  if (limit) {
    timer.expires_after(*limit);
    timer.async_wait([descriptor](const boost::system::error_code& error) {
      if (!error) descriptor->cancel();
    });
  }
  boost::system::error_code error;
  co_await descriptor->async_wait(asio::posix::stream_descriptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != asio::cancellation_type::none) {
    throw Error(ErrorCode::canceled, "canceled while something is to be read");
  }
  co_return !error;
}

}  // namespace cellar::async
