#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "api/call.h"
#include "json/value.h"

namespace cellar::api {

namespace asio = boost::asio;

// The API as a client sees it whose request is being answered: the same routes, errors, limits and
// rights. Loop thread only.
class InnerApi {
 public:
  // Answers one request, whatever it is.
  using Handler = std::function<asio::awaitable<void>(http::Exchange&)>;

  struct Request {
    std::string method = "GET";
    std::string path;  // encoded
    std::map<std::string, std::string, std::less<>> query;
    std::optional<json::Value> body;
    std::string bytes;  // in place of `body`
    http::Headers headers;
  };

  // `handler` and `outer` must outlive it; that came with so many bytes, and no request has more.
  InnerApi(const Handler& handler, const Call& outer, std::size_t outer_bytes)
      : handler_(handler), outer_(outer), outer_bytes_(outer_bytes) {}

  // The body of the answer. Throws the Error that it stands for where it is no success, reason
  // `answer_too_large` for one that is larger.
  asio::awaitable<std::string> send(Request request, std::size_t answer_bytes_max) const;
  // The same as JSON; null where there is none.
  asio::awaitable<json::Value> ask(Request request) const;
  // What `read` makes of that, which with a large answer is done elsewhere (Call::work_on()).
  template <typename Read>
  asio::awaitable<std::invoke_result_t<Read&, json::Value>> ask_for(Request request,
                                                                    Read read) const;

 private:
  static constexpr std::size_t kJsonAnswerBytesMax = 64 << 20;

  static json::Value parsed(const std::string& text);

  const Handler& handler_;
  const Call& outer_;
  std::size_t outer_bytes_;
};

template <typename Read>
asio::awaitable<std::invoke_result_t<Read&, json::Value>> InnerApi::ask_for(Request request,
                                                                            Read read) const {
  std::string text = co_await send(std::move(request), kJsonAnswerBytesMax);
  const std::size_t size = text.size();
  auto work = [text = std::move(text), read = std::move(read)] { return read(parsed(text)); };
  co_return co_await outer_.work_on(size, std::move(work));
}

}  // namespace cellar::api
