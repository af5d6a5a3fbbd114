#pragma once

#include <cstddef>

#include "async/pool.h"

namespace cellar::async {

// Gives what `work` makes of so many bytes: of few at once, here; of many on the pool, as offload()
// does it, since it would hold up everybody else.
template <typename Work>
asio::awaitable<std::invoke_result_t<Work&>> work_aside(Pool& pool, std::size_t bytes, Work work) {
  constexpr std::size_t kFewBytesMax = 64 << 10;
  if (bytes <= kFewBytesMax) co_return work();
  co_return co_await offload(pool, std::move(work));
}

}  // namespace cellar::async
