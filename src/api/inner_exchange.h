#pragma once

#include <string>

#include "http/exchange.h"

namespace cellar::api {

namespace asio = boost::asio;

// A request that the daemon makes of its own API for a client whose request it has: with the
// client's key, and so with the client's rights, and answered into memory. Loop thread only.
class InnerExchange : public http::Exchange {
 public:
  // `request` has all but the client's key, which `outer` has; that must outlive it. An answer may
  // have so many bytes: beyond them respond() and send() throw Error `too_large`, reason
  // `answer_too_large`.
  InnerExchange(const http::Exchange& outer, http::Request request, std::string body,
                std::size_t answer_bytes_max);

  // What was answered; status 0 where nothing was.
  const http::Response& answer() const noexcept { return answer_; }

  const http::Request& request() const override { return request_; }
  bool has_body() const override { return !body_.empty(); }
  asio::awaitable<std::string> read_body(std::size_t bytes_max) override;
  void forget_body() noexcept override {}
  http::Fields fields() const override;
  asio::awaitable<std::string> read_piece() override;
  std::string client_address() const override { return outer_.client_address(); }
  bool is_client_gone() const override { return outer_.is_client_gone(); }
  bool is_encrypted() const override { return outer_.is_encrypted(); }
  asio::awaitable<void> respond(http::Response response) override;
  asio::awaitable<void> start_stream(http::Response response) override;
  asio::awaitable<void> start_foreign(http::ForeignHead head) override;
  asio::awaitable<void> send(std::string bytes) override;
  asio::awaitable<void> finish() override;
  bool has_answered() const override { return answer_.status != 0; }

  // Nobody is there to take a connection over: these throw Error `invalid_argument`, reason
  // `no_connection`, but for wants_web_socket(), which is false.
  asio::awaitable<std::unique_ptr<http::RawConnection>> upgrade(http::Fields fields) override;
  bool wants_web_socket() const override { return false; }
  asio::awaitable<std::unique_ptr<http::WebSocket>> accept_web_socket(
      std::string protocol) override;

 private:
  void require_room(std::size_t bytes) const;
  asio::awaitable<void> keep(http::Response response);

  const http::Exchange& outer_;
  http::Request request_;
  std::string body_;
  std::size_t answer_bytes_max_;
  http::Response answer_;
};

}  // namespace cellar::api
