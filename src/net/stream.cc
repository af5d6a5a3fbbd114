#include "net/stream.h"

#include <array>
#include <boost/asio/write.hpp>

#include "async/sleep.h"
#include "sys/splice.h"

namespace cellar::net {
namespace {

constexpr std::size_t kBufferSize = 64 << 10;
// What moves more than kCopiedBytesMax one way is spliced from there on, through a pipe: that costs
// two descriptors, and copies nothing.
constexpr std::size_t kCopiedBytesMax = 1 << 20;
constexpr std::size_t kPipeBytes = 1 << 20;
constexpr std::size_t kTurnBytesMax = 2 << 20;  // without looking at anybody else
// A head is parsed anew with each piece: the pieces bound what a trickling client costs.
constexpr int kHeadPiecesMax = 256;
constexpr std::chrono::seconds kLingerLimit{2};
constexpr std::size_t kLingerBytesMax = 1 << 20;

void close(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

// Reads what nobody wants, until the end of the stream. False after an error, or too much of it.
asio::awaitable<bool> discard(Tcp::socket& socket) {
  std::array<char, 4096> sink;
  for (std::size_t bytes = 0; bytes < kLingerBytesMax;) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(sink), kAsTuple);
    if (error) co_return error == asio::error::eof;
    bytes += size;
  }
  co_return false;
}

// What came of a stream. Memory for it is there from when something came: most connections wait
// most of the time.
struct Piece {
  boost::system::error_code error;
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;

  std::string_view view() const { return {bytes.get(), size}; }
};

// Of a socket that does not block.
asio::awaitable<Piece> read_piece(Tcp::socket& from, std::size_t bytes_max) {
  Piece piece;
  for (;;) {
    piece.bytes = std::make_unique_for_overwrite<char[]>(bytes_max);
    piece.size = from.read_some(asio::buffer(piece.bytes.get(), bytes_max), piece.error);
    if (piece.error != asio::error::would_block) co_return piece;
    piece.bytes.reset();
    const auto [error] = co_await from.async_wait(Tcp::socket::wait_read, kAsTuple);
    if (error) {
      piece.error = error;
      co_return piece;
    }
  }
}

// Counts bytes that were written, and waits as long as the meter says. False where nothing more may
// be written.
asio::awaitable<bool> account(Joined& joined, Tcp::socket& to, std::size_t bytes, Way way,
                              Meter& meter) {
  const auto wait = meter.count(way, bytes, std::chrono::steady_clock::now());
  if (meter.is_spent()) co_return false;
  joined.idle.touch();
  if (wait.count() == 0) co_return true;
  co_await async::sleep_for(wait);
  joined.idle.touch();
  co_return to.is_open();
}

// Writes `bytes`, which are there until it ends, and waits as long as the meter says. False where
// nothing more may be written.
asio::awaitable<bool> pass_on(Joined& joined, Tcp::socket& to, std::string_view bytes, Way way,
                              Meter& meter) {
  if (bytes.empty()) co_return true;
  if (way == Way::up && joined.may_send && !joined.may_send(bytes)) co_return false;
  const auto [failure, sent] =
      co_await asio::async_write(to, asio::buffer(bytes.data(), bytes.size()), kAsTuple);
  const bool goes_on = co_await account(joined, to, sent, way, meter);
  co_return goes_on && !failure;
}

// Whether `pipe` was emptied into `to`, `bytes` of them.
asio::awaitable<bool> empty_pipe(Joined& joined, const sys::Pipe& pipe, Tcp::socket& to,
                                 std::size_t bytes, Way way, Meter& meter) {
  while (bytes > 0) {
    if (!to.is_open()) co_return false;
    const sys::Spliced out = sys::splice(pipe.read_end.get(), to.native_handle(), bytes);
    if (out.state == sys::Spliced::State::would_block) {
      const auto [error] = co_await to.async_wait(Tcp::socket::wait_write, kAsTuple);
      if (error) co_return false;
      continue;
    }
    if (out.state != sys::Spliced::State::moved) co_return false;
    bytes -= out.bytes;
    const bool goes_on = co_await account(joined, to, out.bytes, way, meter);
    if (!goes_on) co_return false;
  }
  co_return true;
}

// Goes on with what pump() began, without copying. Whether the stream has come to its end.
asio::awaitable<bool> splice_rest(Joined& joined, const sys::Pipe& pipe, Tcp::socket& from,
                                  Tcp::socket& to, Way way, Meter& meter) {
  std::size_t turn_bytes = kTurnBytesMax;
  for (;;) {
    // Waited for even where bytes are there, now and then: others have their turn.
    if (turn_bytes >= kTurnBytesMax) {
      const auto [error] = co_await from.async_wait(Tcp::socket::wait_read, kAsTuple);
      if (error) co_return false;
      turn_bytes = 0;
    }
    if (!from.is_open()) co_return false;
    const std::size_t piece = meter.piece_bytes(kPipeBytes);
    const sys::Spliced in = sys::splice(from.native_handle(), pipe.write_end.get(), piece);
    turn_bytes = in.state == sys::Spliced::State::moved ? turn_bytes + in.bytes : kTurnBytesMax;
    if (in.state == sys::Spliced::State::would_block) continue;
    if (in.state == sys::Spliced::State::ended) co_return true;
    if (in.state == sys::Spliced::State::failed) co_return false;
    joined.idle.touch();
    const bool goes_on = co_await empty_pipe(joined, pipe, to, in.bytes, way, meter);
    if (!goes_on) co_return false;
  }
}

}  // namespace

asio::awaitable<PeekedName> read_head(Tcp::socket& socket, std::string& head,
                                      PeekedName (*peek)(std::string_view),
                                      std::chrono::milliseconds limit) {
  const Watchdog deadline(socket.get_executor(), limit, [&socket] { close(socket); });
  std::array<char, 4096> piece;
  if (!head.empty()) {
    PeekedName answer = peek(head);
    if (answer.state != PeekedName::State::more) co_return answer;
  }
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
  co_await discard(socket);
}

void reset(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  close(socket);
}

bool is_quiet(Tcp::socket& socket) {
  char byte = 0;
  boost::system::error_code error;
  socket.non_blocking(true, error);
  socket.receive(asio::buffer(&byte, 1), Tcp::socket::message_peek, error);
  return error == asio::error::would_block;
}

Joined::Joined(Tcp::socket client_side, Tcp::socket upstream_side,
               std::chrono::milliseconds idle_limit, std::shared_ptr<void> ends_with)
    : client(std::move(client_side)),
      upstream(std::move(upstream_side)),
      kept(std::move(ends_with)),
      idle(client.get_executor(), idle_limit, [this] { reset_both(); }) {
  boost::system::error_code ignored;  // Then reading fails as well.
  client.non_blocking(true, ignored);
  upstream.non_blocking(true, ignored);
}

void Joined::reset_both() {
  reset(client);
  reset(upstream);
}

asio::awaitable<void> pump(std::shared_ptr<Joined> joined, Way way, std::string head,
                           Meter& meter) {
  Tcp::socket& from = way == Way::up ? joined->client : joined->upstream;
  Tcp::socket& to = way == Way::up ? joined->upstream : joined->client;
  bool has_ended = false;
  std::size_t copied = 0;
  const bool is_looked_at = way == Way::up && joined->may_send;
  bool goes_on = co_await pass_on(*joined, to, head, way, meter);
  std::string().swap(head);
  while (goes_on) {
    if (copied > kCopiedBytesMax) {
      const auto pipe = sys::make_splice_pipe(kPipeBytes);
      if (pipe) {
        has_ended = co_await splice_rest(*joined, *pipe, from, to, way, meter);
        break;
      }
      copied = 0;  // Tried again after as much.
    }
    const Piece piece = co_await read_piece(from, meter.piece_bytes(kBufferSize));
    has_ended = piece.error == asio::error::eof;
    if (piece.error) break;
    joined->idle.touch();
    goes_on = co_await pass_on(*joined, to, piece.view(), way, meter);
    if (!is_looked_at) copied += piece.size;
  }
  if (!has_ended) co_return joined->reset_both();
  boost::system::error_code ignored;
  to.shutdown(Tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> pump_request(std::shared_ptr<Joined> joined, std::string head,
                                   std::string rest, RequestBody body, Meter& meter) {
  std::string ready = std::move(rest);  // of the body, or behind it
  bool goes_on = co_await pass_on(*joined, joined->upstream, head, Way::up, meter);
  while (goes_on) {
    const std::size_t size = body.take(ready);
    if (body.is_malformed()) break;
    const std::string_view bytes = std::string_view(ready).substr(0, size);
    goes_on = co_await pass_on(*joined, joined->upstream, bytes, Way::up, meter);
    if (!goes_on) break;
    if (body.has_ended()) {
      goes_on = co_await discard(joined->client);
      if (goes_on) co_return;  // The server answers and closes, and that ends the connection.
      break;
    }
    std::string().swap(ready);
    const Piece piece = co_await read_piece(joined->client, meter.piece_bytes(kBufferSize));
    if (piece.error) break;
    joined->idle.touch();
    ready = piece.view();
  }
  joined->reset_both();
}

}  // namespace cellar::net
