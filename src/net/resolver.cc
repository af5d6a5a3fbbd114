#include "net/resolver.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include "async/event.h"
#include "base/log.h"

namespace cellar::net {

using asio::ip::address;
using Clock = std::chrono::steady_clock;

struct HostResolver::Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : done(executor) {}
  async::Event done;
  boost::system::error_code error;
  std::vector<address> addresses;
};

HostResolver::HostResolver(asio::any_io_executor executor, unsigned thread_count)
    : executor_(std::move(executor)), pool_(thread_count) {}

asio::awaitable<std::vector<address>> HostResolver::resolve(std::string host, Work work) {
  const auto found = kept_.find(host);
  if (found != kept_.end() && Clock::now() - found->second.since < kKeep) {
    co_return found->second.addresses;
  }
  // Shared with the thread: getaddrinfo cannot be interrupted, so a wait that ends early leaves it.
  const auto lookup = std::make_shared<Lookup>(executor_);
  auto ask = [host, asked = lookup, work = std::move(work), loop = executor_,
              on = pool_.executor()]() mutable {
    asio::ip::tcp::resolver resolver(on);
    const auto entries = resolver.resolve(host, "", asked->error);
    // Many hosts have no way out for IPv6: IPv4 first.
    for (const bool wants_v4 : {true, false}) {
      for (const auto& entry : entries) {
        const address any = entry.endpoint().address();
        if (any.is_v4() == wants_v4) asked->addresses.push_back(any);
      }
    }
    // The last one to let go of it is on the loop's thread.
    asio::post(loop,
               [answered = std::move(asked), ended = std::move(work)] { answered->done.set(); });
  };
  asio::post(pool_.executor(), std::move(ask));
  const bool in_time = co_await lookup->done.wait_for(kLimit);
  if (!in_time || lookup->error) {
    log::debug("resolve {}: {}", host, in_time ? lookup->error.message() : "no answer in time");
    co_return std::vector<address>();
  }
  keep(host, lookup->addresses);
  co_return lookup->addresses;
}

void HostResolver::keep(const std::string& host, std::vector<address> addresses) {
  const auto now = Clock::now();
  if (kept_.size() >= kKeptMax) {
    std::erase_if(kept_, [&](const auto& entry) { return now - entry.second.since >= kKeep; });
  }
  if (kept_.size() < kKeptMax || kept_.contains(host)) kept_[host] = {std::move(addresses), now};
}

}  // namespace cellar::net
