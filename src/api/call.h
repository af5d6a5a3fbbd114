#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "async/pool.h"
#include "base/text.h"
#include "cell/supervisor.h"
#include "http/exchange.h"
#include "http/router.h"
#include "json/json.h"
#include "json/value.h"

namespace cellar::api {

namespace asio = boost::asio;

// One authenticated call on its way through a handler.
struct Call {
  http::Exchange& exchange;
  http::PathParams params;
  std::string owner;
  std::string request_id;
  cell::Supervisor& supervisor;
  std::string key_id = {};  // of the caller, or of the maker of its token
  // Whether that key or token still opens this, for what goes on; may be empty: it does.
  std::function<bool()> may_go_on = {};
  // What the audit log says was meant: the id in the path. May be null.
  std::string* target = nullptr;
  // What an error says, too, that follows: the run that was begun. May be null.
  std::string* run = nullptr;
  std::optional<WallTime> until = {};  // may_go_on() is false from then on

  // The cell named by the path. Throws Error `not_found`.
  std::shared_ptr<cell::Cell> cell() const { return supervisor.get(owner, params.at("id")); }
  // A whole number in the query. Throws Error `invalid_argument`, naming it.
  std::optional<std::int64_t> query_int(std::string_view name, std::int64_t min,
                                        std::int64_t max) const;
  bool query_flag(std::string_view name) const;
  // How long a stream may say nothing: then kHeartbeatComment is due, or its key is over.
  std::chrono::milliseconds heartbeat() const;
  // Whether the client asks for server-sent events.
  bool wants_events() const;
  // The number behind which a client wants events: `after` in the query, or else Last-Event-ID.
  // Throws Error `invalid_argument` for one that is none.
  std::optional<std::uint64_t> events_after() const;
  // What of events and steps the client wants to see: `view` in the query. Throws Error
  // `invalid_argument`.
  cell::View view() const;
  // The header Idempotency-Key. Throws Error `invalid_argument` for one that is none.
  std::optional<std::string> idempotency_key() const;
  // The body as JSON; `{}` where there is none. Throws Error. For small ones: what is large takes
  // long to be let go of, too, and read_body() does that elsewhere.
  asio::awaitable<json::Value> body(std::size_t bytes_max) const;
  // What `read` makes of it, as work_on() does it. Throws Error, and what `read` throws.
  template <typename Read>
  asio::awaitable<std::invoke_result_t<Read&, json::Value>> read_body(std::size_t bytes_max,
                                                                      Read read) const;
  // Likewise of its text, empty where there is none; which counts until the answer has ended, as
  // what is made of it may hold as much.
  template <typename Read>
  asio::awaitable<std::invoke_result_t<Read&, const std::string&>> read_text(std::size_t bytes_max,
                                                                             Read read) const;
  // Does `work` on a document, and gives what it makes of it. With a large one that is done on the
  // pool, and with one at a time: it would hold up everybody here. `work` must own what it touches.
  template <typename Work>
  asio::awaitable<std::invoke_result_t<Work&>> work_on(std::size_t document_bytes, Work work) const;
  asio::awaitable<void> answer(json::Value value, int status = 200) const;
  asio::awaitable<void> answer_text(std::string json_text, int status = 200) const;
  asio::awaitable<void> answer_nothing() const;
  // Before the answer to a call that made something: its id, for the audit log.
  void made(const std::string& id) const {
    if (target != nullptr) *target = id;
  }

 private:
  static constexpr std::size_t kSmallDocumentBytesMax = 256 << 10;
};

template <typename Work>
asio::awaitable<std::invoke_result_t<Work&>> Call::work_on(std::size_t document_bytes,
                                                           Work work) const {
  if (document_bytes <= kSmallDocumentBytesMax) co_return work();
  const auto turn = co_await supervisor.large_documents().turn();
  co_return co_await async::offload(supervisor.pool(), std::move(work));
}

template <typename Read>
asio::awaitable<std::invoke_result_t<Read&, const std::string&>> Call::read_text(
    std::size_t bytes_max, Read read) const {
  std::string text;
  if (exchange.has_body()) text = co_await exchange.read_body(bytes_max);
  const std::size_t size = text.size();
  auto work = [text = std::move(text), read = std::move(read)] { return read(text); };
  co_return co_await work_on(size, std::move(work));
}

template <typename Read>
asio::awaitable<std::invoke_result_t<Read&, json::Value>> Call::read_body(std::size_t bytes_max,
                                                                          Read read) const {
  auto read_json = [read = std::move(read)](const std::string& text) {
    return read(trim(text).empty() ? json::object({}) : json::parse(text));
  };
  auto result = co_await read_text(bytes_max, std::move(read_json));
  exchange.forget_body();
  co_return result;
}

// {"method", "params"?}: a method of the agent's, and what it is given, as JSON text.
struct MethodCall {
  std::string method;
  std::string params;
};
MethodCall read_method_call(const json::Value& body);

// `name`, the value of the field `key`. Throws Error `invalid_argument` for none, or a long one.
std::string checked_name(std::string_view key, std::string name);

inline constexpr std::size_t kSmallBodyMax = 1 << 20;
inline constexpr std::size_t kBodyMax = 64 << 20;
inline constexpr std::size_t kFileBodyMax = 256 << 20;

// How a stream of server-sent events begins, an event of it without a number, its comment that
// keeps it alive, and the one that it ends with once all is said: a connection that ends without
// has broken off, whatever it looks like behind a proxy.
http::Response event_stream_head();
std::string stream_event(std::string_view type, const std::string& json_text);
// The rest of an answer whose head is sent: `stream`, and where that fails an event that says so.
// Cancellation escapes. `call` must outlive it.
asio::awaitable<void> finish_stream(const Call& call, asio::awaitable<void> stream);
inline constexpr std::chrono::seconds kHeartbeat{15};
inline constexpr std::string_view kHeartbeatComment = ": still here\n\n";
inline constexpr std::string_view kEndComment = ": end\n\n";

}  // namespace cellar::api
