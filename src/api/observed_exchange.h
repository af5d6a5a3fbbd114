#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "http/exchange.h"

namespace cellar::api {

namespace asio = boost::asio;

inline constexpr std::string_view kEventStreamType = "text/event-stream";
inline constexpr std::string_view kRunHeader = "X-Cellar-Run";

// Answers that go on now.
struct OpenAnswers {
  std::size_t stream_count = 0;
  std::size_t web_socket_count = 0;
};

// What is known of a request besides its bytes, as it becomes known.
struct Asked {
  std::string pattern;    // of the route; empty: no route
  std::string operation;  // its id
  std::string target;     // the cell's or the key's id
  bool is_change = false;
  std::string key_id;  // of whoever asks
  std::string owner;
  std::string via;   // "key", "token"
  std::string code;  // of the error that it is answered with
  std::string run;   // what the method of an agent that was called is carried out by
  // Whether the key or the token still opens this: asked as long as an answer goes on.
  std::function<bool()> may_go_on;
  std::optional<WallTime> until;  // it is over by then at the latest
};

inline Error key_ended() {
  return {ErrorCode::unauthenticated, "key_ended", "the key or token that began this is over",
          "begin again with another"};
}

// An exchange of which is noted what it is answered, and when.
class ObservedExchange : public http::Exchange {
 public:
  // Both must outlive it. Each answer gets the fields `added`, too.
  ObservedExchange(http::Exchange& inner, OpenAnswers& open, http::Fields added)
      : inner_(inner), open_(open), added_(std::move(added)) {}
  ~ObservedExchange() override {
    if (is_stream_) --open_.stream_count;
    if (is_web_socket_) --open_.web_socket_count;
  }

  Asked asked;
  // Called when an answer begins. Must not throw.
  std::function<void()> on_answer;

  // 0 before an answer begins.
  int status() const noexcept { return status_; }
  // From when this object was made until an answer began, or until now.
  std::chrono::nanoseconds took() const noexcept {
    return (status_ != 0 ? answered_at_ : std::chrono::steady_clock::now()) - began_;
  }

  const http::Request& request() const override { return inner_.request(); }
  bool has_body() const override { return inner_.has_body(); }
  asio::awaitable<std::string> read_body(std::size_t bytes_max) override {
    return inner_.read_body(bytes_max);
  }
  void forget_body() noexcept override { inner_.forget_body(); }
  http::Fields fields() const override { return inner_.fields(); }
  asio::awaitable<std::string> read_piece() override { return inner_.read_piece(); }
  std::string client_address() const override { return inner_.client_address(); }
  bool is_client_gone() const override { return inner_.is_client_gone(); }
  bool is_encrypted() const override { return inner_.is_encrypted(); }
  asio::awaitable<void> respond(http::Response response) override {
    const int status = response.status;
    response.headers.insert(response.headers.end(), added_.begin(), added_.end());
    auto sending =
        inner_.respond(std::move(response));  // It may have no room, and another follows.
    note(status);
    return sending;
  }
  asio::awaitable<void> start_foreign(http::ForeignHead head) override {
    note(head.status);
    head.fields.insert(head.fields.end(), added_.begin(), added_.end());
    return inner_.start_foreign(std::move(head));
  }
  asio::awaitable<std::unique_ptr<http::RawConnection>> upgrade(http::Fields fields) override {
    note(kSwitching);
    return inner_.upgrade(std::move(fields));
  }
  bool wants_web_socket() const override { return inner_.wants_web_socket(); }
  asio::awaitable<std::unique_ptr<http::WebSocket>> accept_web_socket(
      std::string protocol) override {
    note(kSwitching);
    if (!std::exchange(is_web_socket_, true)) ++open_.web_socket_count;
    return inner_.accept_web_socket(std::move(protocol));
  }
  asio::awaitable<void> start_stream(http::Response response) override {
    note(response.status);
    response.headers.insert(response.headers.end(), added_.begin(), added_.end());
    if (!std::exchange(is_stream_, true)) ++open_.stream_count;
    is_event_stream_ = response.content_type == kEventStreamType;
    return inner_.start_stream(std::move(response));
  }
  // Throws Error `unauthenticated`, reason `key_ended`, also: a stream ends with its key.
  asio::awaitable<void> send(std::string bytes) override {
    if (asked.may_go_on && !asked.may_go_on()) throw key_ended();
    return inner_.send(std::move(bytes));
  }
  asio::awaitable<void> finish() override { return inner_.finish(); }
  // The last words of a stream whose key is over, or which has no room, and is not finished: so
  // that nobody takes it for a whole one.
  asio::awaitable<void> send_reason(std::string text) { return inner_.send(std::move(text)); }
  bool is_event_stream() const noexcept { return is_event_stream_; }
  bool has_answered() const override { return inner_.has_answered(); }

 private:
  static constexpr int kSwitching = 101;

  void note(int status) {
    status_ = status;
    answered_at_ = std::chrono::steady_clock::now();
    if (on_answer) on_answer();
  }

  http::Exchange& inner_;
  OpenAnswers& open_;
  http::Fields added_;
  int status_ = 0;
  bool is_stream_ = false;
  bool is_event_stream_ = false;
  bool is_web_socket_ = false;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point answered_at_;
};

}  // namespace cellar::api
