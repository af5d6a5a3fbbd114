#include "http/web_socket.h"

#include <algorithm>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "async/event.h"
#include "async/sleep.h"

namespace cellar::http {
namespace {

using asio::experimental::awaitable_operators::operator||;

// Of a client that says nothing: it is asked by a ping halfway.
constexpr std::chrono::seconds kIdleLimit{60};

// For its answer to a good-bye. The kernel goes on sending behind that.
constexpr std::chrono::seconds kGoodByeLimit{5};

// Of a message, read at once.
constexpr std::size_t kPieceBytes = 4096;

class BeastWebSocket : public WebSocket {
 public:
  BeastWebSocket(Stream& stream, std::chrono::seconds write_limit)
      : socket_(stream),
        write_limit_(write_limit),
        good_bye_limit_(std::min(write_limit, kGoodByeLimit)),
        closed_(stream.get_executor()) {
    boost::beast::websocket::stream_base::timeout limits{};
    limits.handshake_timeout = write_limit;
    limits.idle_timeout = kIdleLimit;
    limits.keep_alive_pings = true;
    stream.next_layer().expires_never();  // These limits take the place of the stream's own.
    socket_.set_option(limits);
    socket_.read_message_max(kMessageBytesMax);
  }

  asio::awaitable<void> accept(const RawRequest& request, std::string protocol) {
    const auto name_protocol = [protocol](boost::beast::websocket::response_type& response) {
      if (!protocol.empty())
        response.set(boost::beast::http::field::sec_websocket_protocol, protocol);
    };
    socket_.set_option(boost::beast::websocket::stream_base::decorator(name_protocol));
    boost::system::error_code error;
    co_await socket_.async_accept(request, asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

  asio::awaitable<std::optional<Message>> read() override {
    std::string bytes;
    boost::system::error_code error;
    co_await (receive(bytes, error) || closed_.wait());
    if (error == boost::beast::websocket::error::closed) co_return std::nullopt;
    if (error) throw_gone(error);
    co_return Message{.is_text = socket_.got_text(), .bytes = std::move(bytes)};
  }

  asio::awaitable<void> send(Message message) override {
    socket_.text(message.is_text);
    boost::system::error_code error;
    const auto ended = co_await (transmit(message.bytes, error) || async::sleep_for(write_limit_));
    const bool is_late = ended.index() == 1;
    if (is_late) closed_.set();  // A read would wait for a client that may be silent.
    if (error) throw_gone(error);
  }

  // A read that fails while the good-bye goes out has one lock of the library's and waits for the
  // other, and the good-bye the other way round: neither ends but by being canceled.
  asio::awaitable<void> close() override {
    boost::system::error_code error;
    co_await (say_good_bye(error) || async::sleep_for(good_bye_limit_));
    closed_.set();
    if (error) throw_gone(error);
  }

 private:
  // The library's own loop around these reads ends the program where a close has thrown away a
  // message's last frame between two of them.
  asio::awaitable<void> receive(std::string& bytes, boost::system::error_code& error) {
    co_await asio::this_coro::throw_if_cancelled(false);
    std::array<char, kPieceBytes> piece;
    do {
      const std::size_t size = co_await socket_.async_read_some(
          asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
      bytes.append(piece.data(), size);
      const auto cancellation = co_await asio::this_coro::cancellation_state;
      if (cancellation.cancelled() != asio::cancellation_type::none && !error) {
        error = asio::error::operation_aborted;  // What it has may be half a message.
      }
    } while (!error && !socket_.is_message_done());
  }

  asio::awaitable<void> transmit(const std::string& bytes, boost::system::error_code& error) {
    co_await socket_.async_write(asio::buffer(bytes),
                                 asio::redirect_error(asio::use_awaitable, error));
  }

  asio::awaitable<void> say_good_bye(boost::system::error_code& error) {
    co_await socket_.async_close(boost::beast::websocket::close_code::normal,
                                 asio::redirect_error(asio::use_awaitable, error));
  }

  boost::beast::websocket::stream<Stream&> socket_;
  std::chrono::seconds write_limit_;
  std::chrono::seconds good_bye_limit_;
  async::Event closed_;  // or given up: nothing that comes is read any more
};

}  // namespace

asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(Stream& stream,
                                                              const RawRequest& request,
                                                              std::string protocol,
                                                              std::chrono::seconds write_limit) {
  auto socket = std::make_unique<BeastWebSocket>(stream, write_limit);
  co_await socket->accept(request, std::move(protocol));
  co_return std::move(socket);
}

}  // namespace cellar::http
