#include "http/web_socket.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace cellar::http {
namespace {

// Of a client that says nothing: it is asked by a ping halfway.
constexpr std::chrono::seconds kIdleLimit{60};

class BeastWebSocket : public WebSocket {
 public:
  BeastWebSocket(Stream& stream, std::chrono::seconds write_limit) : socket_(stream) {
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
    boost::beast::flat_buffer buffer;
    boost::system::error_code error;
    co_await socket_.async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
    if (error == boost::beast::websocket::error::closed) co_return std::nullopt;
    if (error) throw_gone(error);
    co_return Message{.is_text = socket_.got_text(),
                      .bytes = boost::beast::buffers_to_string(buffer.data())};
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
    co_await socket_.async_close(boost::beast::websocket::close_code::normal,
                                 asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

 private:
  boost::beast::websocket::stream<Stream&> socket_;
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
