#include "api/inner_exchange.h"

#include <utility>

#include "base/error.h"

namespace cellar::api {
namespace {

constexpr std::string_view kKeyHeaders[] = {"authorization", "x-api-key"};

[[noreturn]] void refuse_connection() {
  throw Error(ErrorCode::invalid_argument, "no_connection",
              "this needs a connection of its own, which a call from inside has not");
}

}  // namespace

InnerExchange::InnerExchange(const http::Exchange& outer, http::Request request, std::string body,
                             std::size_t answer_bytes_max)
    : outer_(outer),
      request_(std::move(request)),
      body_(std::move(body)),
      answer_bytes_max_(answer_bytes_max) {
  answer_.status = 0;
  for (const std::string_view name : kKeyHeaders) {
    const std::string* key = outer_.request().header(name);
    if (key != nullptr) request_.headers.emplace(name, *key);
  }
}

asio::awaitable<std::string> InnerExchange::read_body(std::size_t bytes_max) {
  if (body_.size() > bytes_max) {
    throw Error(ErrorCode::too_large, "body_too_large",
                "the body is larger than " + std::to_string(bytes_max) + " bytes");
  }
  co_return std::exchange(body_, {});
}

http::Fields InnerExchange::fields() const {
  return {request_.headers.begin(), request_.headers.end()};
}

asio::awaitable<std::string> InnerExchange::read_piece() { co_return std::exchange(body_, {}); }

// What is too large is refused at the call: nobody has noted its status yet.
asio::awaitable<void> InnerExchange::respond(http::Response response) {
  require_room(response.body.size());
  return keep(std::move(response));
}

asio::awaitable<void> InnerExchange::keep(http::Response response) {
  answer_ = std::move(response);
  co_return;
}

asio::awaitable<void> InnerExchange::start_stream(http::Response response) {
  return keep(std::move(response));
}

asio::awaitable<void> InnerExchange::start_foreign(http::ForeignHead head) {
  answer_.status = head.status;
  answer_.headers = std::move(head.fields);
  co_return;
}

asio::awaitable<void> InnerExchange::send(std::string bytes) {
  require_room(answer_.body.size() + bytes.size());
  answer_.body += bytes;
  co_return;
}

void InnerExchange::require_room(std::size_t bytes) const {
  if (bytes <= answer_bytes_max_) return;
  throw Error(ErrorCode::too_large, "answer_too_large",
              "the answer is larger than " + std::to_string(answer_bytes_max_) + " bytes");
}

asio::awaitable<void> InnerExchange::finish() { co_return; }

asio::awaitable<std::unique_ptr<http::RawConnection>> InnerExchange::upgrade(http::Fields) {
  refuse_connection();
  co_return nullptr;
}

asio::awaitable<std::unique_ptr<http::WebSocket>> InnerExchange::accept_web_socket(std::string) {
  refuse_connection();
  co_return nullptr;
}

}  // namespace cellar::api
