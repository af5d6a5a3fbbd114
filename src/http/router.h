#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace cellar::http {

// What a pattern's names stand for in one request, decoded.
using PathParams = std::map<std::string, std::string, std::less<>>;

// Chooses the handler of a request. Immutable once it serves.
class Router {
 public:
  using Handler = std::function<asio::awaitable<void>(Exchange&, PathParams)>;

  // `pattern` is made of literal segments, {name} for one segment, and {name...} for all that are
  // left (one at least). Literal segments win over names.
  void add(std::string method, std::string_view pattern, Handler handler);

  struct Match {
    const Handler* handler = nullptr;  // null: see `allowed`
    std::string pattern;               // of the handler
    PathParams params;
    std::vector<std::string> allowed;  // with no handler: methods of this path; empty: no such path
  };
  // Throws Error `invalid_argument`, reason `invalid_path`, for a path with broken escapes.
  Match match(std::string_view method, std::string_view path) const;

  // "GET /healthz", …, in the order in which they were added.
  std::vector<std::string> routes() const;

 private:
  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    std::size_t literal_count;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace cellar::http
