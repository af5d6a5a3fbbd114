#include "net/stream.h"

#include <array>
#include <boost/asio/write.hpp>

namespace cellar::net {
namespace {

constexpr std::size_t kBufferSize = 64 << 10;
// A head is parsed anew with each piece: the pieces bound what a trickling client costs.
constexpr int kHeadPiecesMax = 256;
constexpr std::chrono::seconds kLingerLimit{2};
constexpr std::size_t kLingerBytesMax = 1 << 20;

void close(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

}  // namespace

asio::awaitable<PeekedName> read_head(Tcp::socket& socket, std::string& head,
                                      PeekedName (*peek)(std::string_view),
                                      std::chrono::milliseconds limit) {
  const Watchdog deadline(socket.get_executor(), limit, [&socket] { close(socket); });
  std::array<char, 4096> piece;
  for (int count = 0; count < kHeadPiecesMax; ++count) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(piece), kAsTuple);
    if (error) co_return PeekedName();
    head.append(piece.data(), size);
    PeekedName answer = peek(head);
    if (answer.state != PeekedName::State::more) co_return answer;
  }
  co_return PeekedName{PeekedName::State::malformed};
}

asio::awaitable<std::optional<Tcp::socket>> dial(std::vector<Tcp::endpoint> endpoints,
                                                 std::chrono::milliseconds limit) {
  const auto executor = co_await asio::this_coro::executor;
  for (const Tcp::endpoint& endpoint : endpoints) {
    Tcp::socket socket(executor);
    const auto share = limit / static_cast<int>(endpoints.size());
    const Watchdog deadline(executor, share, [&socket] { close(socket); });
    const auto [error] = co_await socket.async_connect(endpoint, kAsTuple);
    // The deadline may have passed after the connection was made and before we run.
    if (!error && socket.is_open()) co_return socket;
  }
  co_return std::nullopt;
}

asio::awaitable<void> close_with(Tcp::socket& socket, std::string last_words) {
  const Watchdog deadline(socket.get_executor(), kLingerLimit, [&socket] { close(socket); });
  const auto [failure, sent] =
      co_await asio::async_write(socket, asio::buffer(last_words), kAsTuple);
  if (failure) co_return;
  boost::system::error_code ignored;
  socket.shutdown(Tcp::socket::shutdown_send, ignored);
  // Closing with bytes of the peer unread would take the last words away from it.
  std::array<char, 4096> sink;
  for (std::size_t bytes = 0; bytes < kLingerBytesMax;) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(sink), kAsTuple);
    if (error) co_return;
    bytes += size;
  }
}

void reset(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  close(socket);
}

Joined::Joined(Tcp::socket client_side, Tcp::socket upstream_side,
               std::chrono::milliseconds idle_limit, std::shared_ptr<void> ends_with)
    : client(std::move(client_side)),
      upstream(std::move(upstream_side)),
      kept(std::move(ends_with)),
      idle(client.get_executor(), idle_limit, [this] { reset_both(); }) {}

void Joined::reset_both() {
  reset(client);
  reset(upstream);
}

asio::awaitable<void> pump(std::shared_ptr<Joined> joined, Tcp::socket& from, Tcp::socket& to,
                           std::string head, std::uint64_t& byte_count) {
  std::string buffer = std::move(head);
  std::size_t filled = buffer.size();
  if (buffer.size() < kBufferSize) buffer.resize(kBufferSize);
  for (;;) {
    const auto [failure, sent] =
        co_await asio::async_write(to, asio::buffer(buffer, filled), kAsTuple);
    byte_count += sent;
    if (failure) break;
    joined->idle.touch();
    const auto [error, size] = co_await from.async_read_some(asio::buffer(buffer), kAsTuple);
    if (error == asio::error::eof) {
      boost::system::error_code ignored;
      to.shutdown(Tcp::socket::shutdown_send, ignored);
      co_return;
    }
    if (error) break;
    joined->idle.touch();
    filled = size;
  }
  joined->reset_both();
}

}  // namespace cellar::net
