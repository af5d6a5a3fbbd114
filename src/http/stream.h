#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "http/piece_body.h"
#include "net/tls_either.h"

// For this module alone: it knows the library behind it.
namespace cellar::http {

namespace asio = boost::asio;

[[noreturn]] inline void throw_gone(const boost::system::error_code& error) {
  throw Error(ErrorCode::canceled, "the connection ended: " + error.message());
}

// A request as the library has it.
using RawRequest = boost::beast::http::request<PieceBody>;

// A client's connection, whose socket must not block. Its limits are those of the TCP stream below.
// One writer at a time.
class Stream : public net::TlsEither<boost::beast::tcp_stream> {
 public:
  // What a client takes of a large answer in a second, at least.
  static constexpr std::size_t kSlowestBytes = 32 << 10;

  Stream(asio::ip::tcp::socket socket, std::chrono::seconds write_limit,
         std::size_t slowest_bytes = kSlowestBytes)
      : TlsEither(boost::beast::tcp_stream(std::move(socket))),
        write_limit_(write_limit),
        slowest_bytes_(slowest_bytes) {}

  // Returns once the client, or the kernel for it, has taken all three, one behind the other;
  // `tail` outlives the call. Mostly that is at once: no timer is begun then, and nothing waited
  // for. Throws Error `canceled` for a client that is gone, or takes nothing for too long: one that
  // takes a large answer slowly has a second more for each `slowest_bytes`.
  asio::awaitable<void> write(std::string head, std::string body = {}, std::string_view tail = {}) {
    Parts rest = {asio::buffer(head), asio::buffer(body), asio::buffer(tail.data(), tail.size())};
    // TLS would have to keep what the socket does not take of a record.
    const std::size_t taken_bytes = is_tls() ? 0 : write_now(rest);
    if (asio::buffer_size(rest) > 0) {
      // By all that it has taken: who takes a little now and then would hold the rest for ever.
      auto limit = std::chrono::steady_clock::now() + write_limit_;
      while (asio::buffer_size(rest) > 0) {
        next_layer().expires_at(limit);
        boost::system::error_code error;
        const std::size_t size =
            co_await async_write_some(rest, asio::redirect_error(asio::use_awaitable, error));
        if (error) throw_gone(error);
        consume(rest, size);
        limit += std::chrono::milliseconds(1000 * size / slowest_bytes_);
      }
      next_layer().expires_never();
      turn_bytes_ = 0;
    } else if ((turn_bytes_ += taken_bytes) >= kTurnBytes) {
      turn_bytes_ = 0;
      co_await asio::post(asio::use_awaitable);
    }
  }

 private:
  // That a client takes without being waited for: then others have their turn.
  static constexpr std::size_t kTurnBytes = 64 << 10;

  using Parts = std::array<asio::const_buffer, 3>;

  static void consume(Parts& rest, std::size_t bytes) {
    for (asio::const_buffer& part : rest) {
      const std::size_t taken = std::min(bytes, part.size());
      part += taken;
      bytes -= taken;
    }
  }

  // Takes from `rest` what the socket takes, and says how much that was.
  std::size_t write_now(Parts& rest) {
    boost::system::error_code error;
    const std::size_t size = next_layer().socket().write_some(rest, error);
    if (error && error != asio::error::would_block) throw_gone(error);
    consume(rest, size);
    return size;
  }

  std::chrono::seconds write_limit_;
  std::size_t slowest_bytes_;
  std::size_t turn_bytes_ = 0;  // since others had their turn
};

// The library behind WebSockets asks for it at their end: whoever has the stream closes it.
template <typename Handler>
void async_teardown(boost::beast::role_type, Stream& stream, Handler&& handler) {
  auto done = [handler = std::forward<Handler>(handler)]() mutable {
    handler(boost::system::error_code());
  };
  asio::post(stream.get_executor(), std::move(done));
}

}  // namespace cellar::http
