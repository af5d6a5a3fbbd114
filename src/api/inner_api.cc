#include "api/inner_api.h"

#include "api/inner_exchange.h"
#include "base/error.h"
#include "json/json.h"

namespace cellar::api {
namespace {

constexpr std::size_t kJsonAnswerBytesMax = 64 << 20;
constexpr std::size_t kDepthMax = 512;

std::string text_of(const json::Value& body, std::string_view key) {
  const json::Value* member = body.find(key);
  return member != nullptr && member->is_string() ? member->as_string() : std::string();
}

[[noreturn]] void throw_refusal(const http::Response& answer) {
  constexpr int kServerError = 500;
  const json::Value body = json::parse(answer.body);
  const ErrorCode code =
      answer.status >= kServerError ? ErrorCode::internal : ErrorCode::invalid_argument;
  throw Error(code, text_of(body, "code"), text_of(body, "error"), text_of(body, "remediation"));
}

}  // namespace

asio::awaitable<std::string> InnerApi::send(Request request, std::size_t answer_bytes_max) const {
  constexpr int kNoSuccess = 300;
  http::Request inner{.method = std::move(request.method),
                      .target = request.path,
                      .path = request.path,
                      .query = std::move(request.query),
                      .headers = std::move(request.headers)};
  std::string body = request.body ? json::dump(*request.body) : std::move(request.bytes);
  InnerExchange exchange(outer_, std::move(inner), std::move(body), answer_bytes_max);
  co_await handler_(exchange);
  if (exchange.answer().status >= kNoSuccess) throw_refusal(exchange.answer());
  co_return exchange.answer().body;
}

asio::awaitable<json::Value> InnerApi::ask(Request request) const {
  const std::string text = co_await send(std::move(request), kJsonAnswerBytesMax);
  if (text.empty()) co_return json::Value();
  const json::ParseLimits limits{.depth_max = kDepthMax};
  co_return json::parse(text, limits);
}

}  // namespace cellar::api
