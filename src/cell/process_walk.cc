#include "cell/process_walk.h"

namespace cellar::cell {

asio::awaitable<std::shared_ptr<const ProcessWalk::Found>> ProcessWalk::latest() {
  const auto turn = co_await turns_.turn();
  const auto now = std::chrono::steady_clock::now();
  if (found_ && now < found_at_ + kFresh) co_return found_;
  auto walk = [] { return std::make_shared<const Found>(sys::members_by_namespace()); };
  found_ = co_await async::offload(pool_, std::move(walk));
  found_at_ = std::chrono::steady_clock::now();
  co_return found_;
}

}  // namespace cellar::cell
