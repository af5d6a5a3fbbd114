#include "cell/parse.h"

#include "async/aside.h"

namespace cellar::cell {
namespace {

constexpr json::ParseLimits kTextLimits{.value_count_max = 1'000'000};

}  // namespace

asio::awaitable<json::Value> parse(async::Pool& pool, std::string text) {
  const std::size_t size = text.size();
  auto read = [text = std::move(text)] { return json::parse(text, kTextLimits); };
  co_return co_await async::work_aside(pool, size, std::move(read));
}

}  // namespace cellar::cell
