#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "http/exchange.h"
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

  // Both must outlive it.
  InnerApi(const Handler& handler, const http::Exchange& outer)
      : handler_(handler), outer_(outer) {}

  // The body of the answer. Throws the Error that it stands for where it is no success, and
  // `too_large`, reason `answer_too_large`, for one that is larger and comes piece by piece.
  asio::awaitable<std::string> send(Request request, std::size_t answer_bytes_max) const;
  // The same as JSON; null where there is none.
  asio::awaitable<json::Value> ask(Request request) const;

 private:
  const Handler& handler_;
  const http::Exchange& outer_;
};

}  // namespace cellar::api
