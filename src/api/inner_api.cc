#include "api/inner_api.h"

#include "api/inner_exchange.h"
#include "base/error.h"
#include "json/json.h"

namespace cellar::api {
namespace {

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
  std::string body = std::move(request.bytes);
  if (request.body) {
    auto dump = [value = *std::move(request.body)]() mutable {
      const json::Value last = std::move(value);  // To let go of it takes long, too.
      return json::dump(last);
    };
    body = co_await outer_.work_on(outer_bytes_, std::move(dump));
  }
  InnerExchange exchange(outer_.exchange, std::move(inner), std::move(body), answer_bytes_max);
  co_await handler_(exchange);
  if (exchange.answer().status >= kNoSuccess) throw_refusal(exchange.answer());
  co_return exchange.answer().body;
}

asio::awaitable<json::Value> InnerApi::ask(Request request) const {
  const auto all = [](json::Value answer) { return answer; };
  co_return co_await ask_for(std::move(request), all);
}

json::Value InnerApi::parsed(const std::string& text) {
  if (text.empty()) return {};
  const json::ParseLimits limits{.depth_max = kDepthMax};
  return json::parse(text, limits);
}

}  // namespace cellar::api
