#include "cell/parse.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kSmallTextBytesMax = 64 << 10;
constexpr json::ParseLimits kTextLimits{.value_count_max = 1'000'000};

}  // namespace

asio::awaitable<json::Value> parse(async::Pool& pool, std::string text) {
  if (text.size() <= kSmallTextBytesMax) co_return json::parse(text);
  auto read = [text = std::move(text)] { return json::parse(text, kTextLimits); };
  co_return co_await async::offload(pool, std::move(read));
}

}  // namespace cellar::cell
