#include "net/tls_channel.h"

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

#include "net/watchdog.h"

namespace cellar::net {
namespace {

constexpr std::chrono::seconds kGoodbyeLimit{2};
constexpr unsigned char kHttp11[] = "\x08http/1.1";

class TlsChannel : public Channel {
 public:
  explicit TlsChannel(std::unique_ptr<TlsStream> stream) : stream_(std::move(stream)) {}

  asio::awaitable<std::size_t> read(std::span<char> into) override {
    const auto [error, size] =
        co_await stream_->async_read_some(asio::buffer(into.data(), into.size()), kAsTuple);
    if (error && error != asio::error::eof) throw boost::system::system_error(error);
    co_return size;
  }

  asio::awaitable<void> write(std::string_view bytes) override {
    co_await asio::async_write(*stream_, asio::buffer(bytes), asio::use_awaitable);
  }

  asio::awaitable<void> end() override {
    Tcp::socket& socket = stream_->next_layer();
    const Watchdog deadline(socket.get_executor(), kGoodbyeLimit, [this] { reset(); });
    co_await stream_->async_shutdown(kAsTuple);
    co_await close_with(socket, "");
  }

  void reset() noexcept override { net::reset(stream_->next_layer()); }

  bool is_quiet() override {
    return SSL_pending(stream_->native_handle()) == 0 && net::is_quiet(stream_->next_layer());
  }

 private:
  std::unique_ptr<TlsStream> stream_;
};

// A client that offers protocols must offer HTTP/1.1.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* out = nullptr;
  const int found =
      SSL_select_next_proto(&out, size, kHttp11, sizeof kHttp11 - 1, offered, offered_size);
  *chosen = out;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

void serve_http11(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

asio::awaitable<void> shake_hands(TlsStream& stream, asio::ssl::stream_base::handshake_type side,
                                  std::string already_read, std::chrono::milliseconds limit) {
  const Watchdog deadline(stream.get_executor(), limit, [&stream] { reset(stream.next_layer()); });
  const auto [error, size] =
      co_await stream.async_handshake(side, asio::buffer(already_read), kAsTuple);
  if (error) throw boost::system::system_error(error);
}

std::unique_ptr<Channel> tls_channel(std::unique_ptr<TlsStream> stream) {
  return std::make_unique<TlsChannel>(std::move(stream));
}

}  // namespace cellar::net
