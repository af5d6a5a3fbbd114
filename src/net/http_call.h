#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/channel.h"
#include "net/http_url.h"
#include "net/resolver.h"
#include "net/tls_client.h"
#include "net/watchdog.h"

namespace cellar::net {

// How long a call may take, in all and until the first byte of its answer.
struct HttpCallLimits {
  std::chrono::milliseconds total{std::chrono::minutes(10)};
  std::chrono::milliseconds first_byte{std::chrono::minutes(10)};
  std::size_t answer_bytes = 16 << 20;
};

// One POST of the daemon's own to a server that its operator has named, and the answer, read as it
// comes. No redirect is followed, and the connection ends with it. Loop thread only.
//
// Every failure throws Error: `timed_out`, reason `http_timeout`; `too_large`, reason
// `http_answer_too_large`; `canceled` after abort(); else `unavailable`, reason `http_failed`.
class HttpCall {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  static constexpr std::chrono::seconds kConnectLimit{10};

  // `resolver` and `tls` outlive it.
  HttpCall(asio::any_io_executor executor, Resolver& resolver, TlsClient& tls,
           HttpCallLimits limits);
  ~HttpCall();
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  // Returns once the head of the answer is there. `path` follows the URL's own.
  asio::awaitable<void> post(const HttpUrl& url, std::string path, Headers headers,
                             std::string body);
  int status() const noexcept { return status_; }
  // The request was written as a whole.
  bool is_sent() const noexcept { return is_sent_; }
  // "" where the answer has none of that name, which is in lower case.
  std::string header(std::string_view name) const;
  // The next piece of the answer's body; empty at its end.
  asio::awaitable<std::string> read();

  // Ends it, also while another coroutine waits in post() or read().
  void abort() noexcept;

 private:
  struct Body;

  asio::awaitable<void> connect(const HttpUrl& url);
  asio::awaitable<void> exchange(std::string text);
  asio::awaitable<void> read_head();
  asio::awaitable<std::size_t> receive();
  std::chrono::milliseconds left() const;
  void end(std::string why) noexcept;
  void require_going() const;
  [[noreturn]] void fail(const std::string& what) const;

  asio::any_io_executor executor_;
  Resolver& resolver_;
  TlsClient& tls_;
  HttpCallLimits limits_;
  std::string server_;  // for errors
  std::unique_ptr<Channel> channel_;
  std::string received_;  // and not used yet
  std::size_t answer_bytes_ = 0;
  int status_ = 0;
  Headers answer_headers_;
  std::unique_ptr<Body> body_;
  bool is_sent_ = false;
  bool is_aborted_ = false;
  std::string late_;  // why it was ended: what took too long
  std::chrono::steady_clock::time_point end_at_;
  std::optional<Watchdog> total_;
  std::optional<Watchdog> first_byte_;
};

}  // namespace cellar::net
