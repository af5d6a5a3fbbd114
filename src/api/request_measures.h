#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "api/call.h"
#include "api/exposition.h"
#include "api/observed_exchange.h"

namespace cellar::api {

struct Https;

// What the API was asked and how it answered, by route: as many series as there are routes and
// statuses, whatever clients send. Loop thread only.
class RequestMeasures {
 public:
  // `pattern` is that of a route; empty for a request that none takes. `status` 0: the client left
  // before an answer.
  void count(std::string_view method, const std::string& pattern, int status,
             std::chrono::nanoseconds took);
  void write(Exposition& text) const;

  OpenAnswers open;

 private:
  struct Route {
    std::map<int, std::uint64_t> by_status;
    Histogram times;
  };
  std::map<std::pair<std::string, std::string>, Route> routes_;  // by pattern and method
};

// Answers GET /metrics.
asio::awaitable<void> tell_metrics(const Call& call, const RequestMeasures& requests,
                                   const Https& https);

}  // namespace cellar::api
