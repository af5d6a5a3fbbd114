#include "egress/splice.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/task_group.h"

namespace cellar::egress {
namespace {

using asio::ip::tcp;

constexpr std::size_t kPieceBytes = 64 << 10;
constexpr std::chrono::minutes kIdleLimit{15};
constexpr std::chrono::seconds kIdlePause{30};
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

struct Pair {
  tcp::socket client;
  tcp::socket upstream;
  std::chrono::steady_clock::time_point active_at = std::chrono::steady_clock::now();
  int directions = 2;  // that still send

  void close() {
    boost::system::error_code ignored;
    client.close(ignored);
    upstream.close(ignored);
  }
};

asio::awaitable<void> pump(Pair& pair, tcp::socket& from, tcp::socket& to) {
  std::string buffer(kPieceBytes, '\0');
  bool broken = false;
  for (;;) {
    const auto [read_error, size] = co_await from.async_read_some(asio::buffer(buffer), kAsTuple);
    pair.active_at = std::chrono::steady_clock::now();
    if (read_error) {
      broken = read_error != asio::error::eof;
      break;
    }
    const auto [write_error, written] =
        co_await asio::async_write(to, asio::buffer(buffer.data(), size), kAsTuple);
    if (write_error) {
      broken = true;
      break;
    }
  }
  boost::system::error_code ignored;
  to.shutdown(tcp::socket::shutdown_send, ignored);  // The other direction may go on.
  --pair.directions;
  if (broken || pair.directions == 0) pair.close();
}

asio::awaitable<void> watch(Pair& pair) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (pair.directions > 0) {
    timer.expires_after(kIdlePause);
    const auto [error] = co_await timer.async_wait(kAsTuple);
    if (error) co_return;
    if (std::chrono::steady_clock::now() - pair.active_at >= kIdleLimit) pair.close();
  }
}

}  // namespace

asio::steady_timer close_after(tcp::socket& socket, std::chrono::seconds limit) {
  asio::steady_timer timer(socket.get_executor(), limit);
  timer.async_wait([&socket](const boost::system::error_code& error) {
    if (error) return;
    boost::system::error_code ignored;
    socket.close(ignored);
  });
  return timer;
}

asio::awaitable<void> splice(tcp::socket client, tcp::socket upstream, std::string first_bytes) {
  Pair pair{std::move(client), std::move(upstream)};
  const auto [error, size] =
      co_await asio::async_write(pair.upstream, asio::buffer(first_bytes), kAsTuple);
  if (error) co_return;
  async::TaskGroup pumps(co_await asio::this_coro::executor);
  async::TaskGroup watcher(co_await asio::this_coro::executor);
  pumps.spawn(pump(pair, pair.client, pair.upstream));
  pumps.spawn(pump(pair, pair.upstream, pair.client));
  watcher.spawn(watch(pair));
  std::exception_ptr failure;
  try {
    co_await pumps.join();
  } catch (...) {
    failure = std::current_exception();  // Canceled: the pumps must not outlive this frame.
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  pair.close();
  co_await pumps.close();
  co_await watcher.close();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cellar::egress
