#include "http/web_socket.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/error.h"

namespace cellar::http {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

// Of a client that says nothing: it is asked by a ping halfway.
constexpr std::chrono::seconds kIdleLimit{60};

[[noreturn]] void throw_gone(const boost::system::error_code& error) {
  throw Error(ErrorCode::canceled, "the connection ended: " + error.message());
}

class BeastWebSocket : public WebSocket {
 public:
  BeastWebSocket(beast::tcp_stream& stream, std::chrono::seconds write_limit) : socket_(stream) {
    websocket::stream_base::timeout limits{};
    limits.handshake_timeout = write_limit;
    limits.idle_timeout = kIdleLimit;
    limits.keep_alive_pings = true;
    stream.expires_never();  // These limits take the place of the stream's own.
    socket_.set_option(limits);
    socket_.read_message_max(kMessageBytesMax);
  }

  asio::awaitable<void> accept(const beast::http::request<PieceBody>& request) {
    boost::system::error_code error;
    co_await socket_.async_accept(request, asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

  asio::awaitable<std::optional<Message>> read() override {
    beast::flat_buffer buffer;
    boost::system::error_code error;
    co_await socket_.async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
    if (error == websocket::error::closed) co_return std::nullopt;
    if (error) throw_gone(error);
    co_return Message{.is_text = socket_.got_text(),
                      .bytes = beast::buffers_to_string(buffer.data())};
  }

  asio::awaitable<void> send(Message message) override {
    socket_.text(message.is_text);
    boost::system::error_code error;
    co_await socket_.async_write(asio::buffer(message.bytes),
                                 asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

  asio::awaitable<void> close() override {
    boost::system::error_code error;
    co_await socket_.async_close(websocket::close_code::normal,
                                 asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

 private:
  websocket::stream<beast::tcp_stream&> socket_;
};

}  // namespace

asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(
    beast::tcp_stream& stream, const beast::http::request<PieceBody>& request,
    std::chrono::seconds write_limit) {
  auto socket = std::make_unique<BeastWebSocket>(stream, write_limit);
  co_await socket->accept(request);
  co_return std::move(socket);
}

}  // namespace cellar::http
