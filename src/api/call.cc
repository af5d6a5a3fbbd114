#include "api/call.h"

#include <algorithm>

#include "api/errors.h"
#include "base/error.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {

std::optional<std::int64_t> Call::query_int(std::string_view name, std::int64_t min,
                                            std::int64_t max) const {
  const auto text = exchange.request().query_value(name);
  if (!text) return std::nullopt;
  const auto number = parse_int(*text);
  if (!number || *number < min || *number > max) {
    throw Error(ErrorCode::invalid_argument, "invalid_query",
                "\"" + std::string(name) + "\" must be a whole number from " + std::to_string(min) +
                    " to " + std::to_string(max));
  }
  return number;
}

std::string checked_name(std::string_view key, std::string name) {
  constexpr std::size_t kNameBytesMax = 256;
  if (name.empty() || name.size() > kNameBytesMax) {
    json::Reader::refuse(key, "a name of 1 to 256 bytes");
  }
  return name;
}

std::optional<std::string> Call::idempotency_key() const {
  constexpr std::size_t kKeyBytesMax = 256;
  const std::string* key = exchange.request().header("idempotency-key");
  if (key == nullptr) return std::nullopt;
  if (key->empty() || key->size() > kKeyBytesMax || std::ranges::any_of(*key, is_control)) {
    throw Error(ErrorCode::invalid_argument, "invalid_header",
                "Idempotency-Key must be a text of 1 to 256 bytes without control characters");
  }
  return *key;
}

std::optional<std::uint64_t> Call::events_after() const {
  const auto after = query_int("after", 0, INT64_MAX);
  const std::string* last = exchange.request().header("last-event-id");
  if (last == nullptr) return after;
  const auto number = parse_int(*last);
  if (!number || *number < 0) {
    throw Error(ErrorCode::invalid_argument, "invalid_header",
                "Last-Event-ID must be the id of an event, a whole number");
  }
  return *number;
}

std::chrono::milliseconds Call::heartbeat() const {
  using std::chrono::milliseconds;
  if (!until) return kHeartbeat;
  const auto left = std::chrono::ceil<milliseconds>(*until - wall_now());
  return std::clamp(left, milliseconds(1), milliseconds(kHeartbeat));
}

cell::View Call::view() const {
  const auto view = exchange.request().query_value("view");
  if (!view || *view == "live") return cell::View::live;
  if (*view == "committed") return cell::View::committed;
  throw Error(ErrorCode::invalid_argument, "invalid_query",
              "\"view\" must be live or committed, not \"" + *view + "\"",
              "leave it out for all that happens; committed leaves out what may be thrown away");
}

bool Call::query_flag(std::string_view name) const {
  const auto text = exchange.request().query_value(name);
  if (!text || *text == "0") return false;
  if (*text == "1") return true;
  throw Error(ErrorCode::invalid_argument, "invalid_query",
              "\"" + std::string(name) + "\" must be 0 or 1");
}

bool Call::wants_events() const {
  const std::string* accept = exchange.request().header("accept");
  return accept != nullptr && accept->find("text/event-stream") != std::string::npos;
}

asio::awaitable<json::Value> Call::body(std::size_t bytes_max) const {
  return read_body(bytes_max, [](json::Value value) { return value; });
}

MethodCall read_method_call(const json::Value& value) {
  const json::Reader body(value, "the body");
  MethodCall call;
  call.method = body.required_string("method");
  call.params = body.optional_json("params", "{}");
  body.refuse_unknown();
  return call;
}

asio::awaitable<void> Call::answer(json::Value value, int status) const {
  std::string text = json::dump(value);
  co_await answer_text(std::move(text), status);
}

asio::awaitable<void> Call::answer_text(std::string json_text, int status) const {
  http::Response response;
  response.status = status;
  response.body = std::move(json_text);
  co_await exchange.respond(std::move(response));
}

asio::awaitable<void> Call::answer_nothing() const {
  http::Response response;
  response.status = 204;
  co_await exchange.respond(std::move(response));
}

http::Response event_stream_head() {
  http::Response head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  return head;
}

std::string stream_event(std::string_view type, const std::string& json_text) {
  return "event: " + std::string(type) + "\ndata: " + json_text + "\n\n";
}

asio::awaitable<void> finish_stream(const Call& call, asio::awaitable<void> stream) {
  std::optional<Error> failure;
  try {
    co_await std::move(stream);
  } catch (const Error& error) {  // The head is gone: who reads on is told in the stream.
    if (error.code() == ErrorCode::canceled || error.reason() == http::kAnswersFull) throw;
    failure = error;
  }
  if (failure) {
    co_await call.exchange.send(stream_event("error", error_in_stream(*failure, call.request_id)));
  }
  co_await call.exchange.finish();
}

}  // namespace cellar::api
