#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "async/pool.h"
#include "base/histogram.h"
#include "llm/chat.h"
#include "llm/providers.h"
#include "net/http_call.h"

namespace cellar::llm {

namespace asio = boost::asio;

// A request that is ready to be sent, as often as it takes.
struct Prepared {
  ChatRequest request;
  Choice choice;
  std::string body;  // for the provider
};

// Why an attempt failed.
struct Failure {
  std::string message;                                  // without the key
  std::string code;                                     // "llm_429", "http_failed", …
  bool is_passing = false;                              // another attempt may succeed
  std::optional<std::chrono::milliseconds> after = {};  // not before
};

// What an attempt came to: a reply or a failure.
struct Attempt {
  std::optional<Reply> reply;
  Failure failure;
  // What the provider counts, or is likely to; nullopt where it has refused the request, or was not
  // reached.
  std::optional<Usage> usage;
};

// What is counted for metrics, by the names of providers.
struct ProviderMeasures {
  std::uint64_t replies = 0;
  std::uint64_t failures = 0;  // attempts, not calls
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  Histogram times;  // of attempts with a reply
};

// Asks the providers of this daemon. Loop thread only, but for prepare().
class Models {
 public:
  // `resolver`, `tls` and `pool` outlive it.
  Models(asio::any_io_executor executor, async::Pool& pool, net::Resolver& resolver,
         net::TlsClient& tls, Settings settings);
  Models(const Models&) = delete;
  Models& operator=(const Models&) = delete;

  bool empty() const noexcept { return settings_.providers.empty(); }
  const Settings& settings() const noexcept { return settings_; }

  // Of the JSON that an agent sends. Any thread; takes a while for a long one. Throws Error
  // `invalid_argument` or `too_large`, reason invalid_llm_request and others.
  Prepared prepare(const std::string& text) const;

  // One attempt that is under way, or is to be; end() gives it up.
  class Asking {
   public:
    void end() noexcept {
      is_ended_ = true;
      if (http_) http_->abort();
    }
    bool is_ended() const noexcept { return is_ended_; }

   private:
    friend class Models;
    std::unique_ptr<net::HttpCall> http_;
    bool is_ended_ = false;
  };
  // `limit` is what is left for it. `on_text` gets the pieces of the answer's text, where the
  // request streams. Throws Error `canceled` only. `prepared` and `asking` are shared, as they
  // outlive the caller's frame otherwise.
  using OnText = std::function<void(const std::string&)>;
  asio::awaitable<Attempt> ask(std::shared_ptr<const Prepared> prepared,
                               std::shared_ptr<Asking> asking, std::chrono::milliseconds limit,
                               OnText on_text);

  const std::map<std::string, ProviderMeasures>& measures() const noexcept { return measures_; }
  std::uint64_t open_count() const noexcept { return open_count_; }

 private:
  asio::awaitable<Attempt> exchange(const Prepared& prepared, net::HttpCall& http,
                                    const OnText& on_text);
  asio::awaitable<Attempt> take_whole(const Prepared& prepared, net::HttpCall& http);
  asio::awaitable<Attempt> take_stream(const Prepared& prepared, net::HttpCall& http,
                                       const OnText& on_text);
  asio::awaitable<Attempt> take_refusal(const Prepared& prepared, net::HttpCall& http);

  asio::any_io_executor executor_;
  async::Pool& pool_;
  net::Resolver& resolver_;
  net::TlsClient& tls_;
  Settings settings_;
  std::map<std::string, ProviderMeasures> measures_;
  std::uint64_t open_count_ = 0;
};

// `text` with the key, where it is in it, taken out.
std::string without_key(std::string text, const std::string& key);

}  // namespace cellar::llm
