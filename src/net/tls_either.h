#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <string>
#include <utility>

#include "net/tls_identity.h"

namespace cellar::net {

// A stream that speaks TLS from begin_tls() on, and is `Lower` as it is before: who serves clients
// of both kinds has one code for them. What Lower has of limits is TLS's, too. Loop thread only.
template <typename Lower>
class TlsEither {
 public:
  using executor_type = typename Lower::executor_type;

  explicit TlsEither(Lower lower) : lower_(std::move(lower)) {}

  executor_type get_executor() noexcept { return lower_.get_executor(); }
  Lower& next_layer() noexcept { return lower_; }
  bool is_tls() const noexcept { return tls_.has_value(); }

  // Answers a client's TLS, of which `already_read` was read. Throws boost::system::system_error.
  asio::awaitable<void> begin_tls(TlsIdentities& identities, std::string already_read) {
    tls_.emplace(lower_, identities.context());
    co_await tls_->async_handshake(asio::ssl::stream_base::server, asio::buffer(already_read),
                                   asio::use_awaitable);
  }
  // Tells a TLS client that nothing more comes, and waits for the same of it.
  asio::awaitable<void> end_tls() {
    if (tls_) co_await tls_->async_shutdown(asio::use_awaitable);
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    auto begin = [this](auto&& handler, const Buffers& into) {
      if (tls_) {
        tls_->async_read_some(into, std::forward<decltype(handler)>(handler));
      } else {
        lower_.async_read_some(into, std::forward<decltype(handler)>(handler));
      }
    };
    return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        std::move(begin), token, buffers);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    auto begin = [this](auto&& handler, const Buffers& from) {
      if (tls_) {
        tls_->async_write_some(joined(from), std::forward<decltype(handler)>(handler));
      } else {
        lower_.async_write_some(from, std::forward<decltype(handler)>(handler));
      }
    };
    return asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        std::move(begin), token, buffers);
  }

 private:
  static constexpr std::size_t kRecordBytes = 16 << 10;

  // TLS makes a record of one buffer: head and body, which come as two, go out as one.
  template <typename Buffers>
  asio::const_buffer joined(const Buffers& buffers) {
    auto at = asio::buffer_sequence_begin(buffers);
    const auto end = asio::buffer_sequence_end(buffers);
    while (at != end && asio::const_buffer(*at).size() == 0) ++at;
    if (at == end) return {};
    const asio::const_buffer first(*at);
    if (first.size() >= kRecordBytes || std::next(at) == end) return first;
    record_.resize(kRecordBytes);
    return asio::buffer(record_.data(), asio::buffer_copy(asio::buffer(record_), buffers));
  }

  Lower lower_;
  std::string record_;  // empty until it is needed
  std::optional<asio::ssl::stream<Lower&>> tls_;
};

}  // namespace cellar::net
