#include "net/resolver.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <optional>

#include "async/event.h"
#include "base/log.h"

namespace cellar::net {

using asio::ip::address;
using Clock = std::chrono::steady_clock;

namespace {

std::vector<address> ask_host(const std::string& host, boost::system::error_code& error) {
  asio::io_context nobody;  // The call is a blocking one.
  asio::ip::tcp::resolver resolver(nobody);
  const auto entries = resolver.resolve(host, "", error);
  std::vector<address> addresses;
  // Many hosts have no way out for IPv6: IPv4 first.
  for (const bool wants_v4 : {true, false}) {
    for (const auto& entry : entries) {
      const address any = entry.endpoint().address();
      if (any.is_v4() == wants_v4) addresses.push_back(any);
    }
  }
  return addresses;
}

}  // namespace

struct HostResolver::Lookup {
  Lookup(const asio::any_io_executor& executor, std::string name, std::string who, Work at_work)
      : done(executor), host(std::move(name)), asker(std::move(who)), work(std::move(at_work)) {}
  async::Event done;
  std::string host;
  std::string asker;
  Work work;
  std::optional<Clock::time_point> begun;
  boost::system::error_code error;
  std::vector<address> addresses;
};

HostResolver::HostResolver(asio::any_io_executor executor, unsigned thread_count, Ask ask,
                           std::chrono::milliseconds limit)
    : executor_(std::move(executor)),
      thread_count_(thread_count),
      ask_(ask ? std::move(ask) : ask_host),
      limit_(limit),
      pool_(thread_count) {}

asio::awaitable<std::vector<address>> HostResolver::resolve(std::string host, std::string asker,
                                                            Work work) {
  const auto found = kept_.find(host);
  if (found != kept_.end() && Clock::now() - found->second.since < kKeep) {
    // Without any: nobody answered a cell, which the daemon would rather see for itself.
    const bool holds = !found->second.addresses.empty() || !asker.empty();
    if (holds) co_return found->second.addresses;
  }
  // Shared with the thread: getaddrinfo cannot be interrupted, so a wait that ends early leaves it.
  const auto lookup = std::make_shared<Lookup>(executor_, host, std::move(asker), std::move(work));
  waiting_[lookup->asker].push_back(lookup);
  begin_waiting();
  const bool in_time = co_await lookup->done.wait_for(limit_);
  if (in_time && !lookup->error) co_return lookup->addresses;
  log::debug("resolve {}: {}", host, in_time ? lookup->error.message() : "no answer in time");
  const auto waiting = waiting_.find(lookup->asker);
  if (waiting != waiting_.end()) std::erase(waiting->second, lookup);
  // Not where it was the thread that took so long to come.
  const bool was_asked = lookup->begun && Clock::now() - *lookup->begun >= limit_ / 2;
  if (was_asked) keep(host, {});
  co_return std::vector<address>();
}

bool HostResolver::may_begin(const std::string& asker) const {
  if (asker.empty()) return running_count_ < thread_count_;
  if (running_count_ + thread_count_ / kOwnShare >= thread_count_) return false;
  return running_count_ < thread_count_ / 2 || !running_.contains(asker);
}

void HostResolver::begin_waiting() {
  for (;;) {
    for (auto& [asker, lookups] : waiting_) {
      // Nobody waits for it any more.
      std::erase_if(lookups, [](const auto& lookup) { return lookup.use_count() == 1; });
    }
    std::erase_if(waiting_, [](const auto& entry) { return entry.second.empty(); });
    const auto may = [this](const auto& entry) { return may_begin(entry.first); };
    auto next = std::find_if(waiting_.upper_bound(last_), waiting_.end(), may);
    if (next == waiting_.end()) next = std::find_if(waiting_.begin(), waiting_.end(), may);
    if (next == waiting_.end()) return;
    last_ = next->first;
    std::shared_ptr<Lookup> lookup = std::move(next->second.front());
    next->second.pop_front();
    begin(std::move(lookup));
  }
}

void HostResolver::begin(std::shared_ptr<Lookup> lookup) {
  lookup->begun = Clock::now();
  ++running_[lookup->asker];
  ++running_count_;
  auto ask = [this, asked = std::move(lookup), loop = executor_]() mutable {
    asked->addresses = ask_(asked->host, asked->error);
    // The last one to let go of it is on the loop's thread.
    asio::post(loop, [this, answered = std::move(asked)] {
      if (!answered->error) keep(answered->host, answered->addresses);  // Also where it is late.
      answered->done.set();
      answered->work.reset();
      end(answered->asker);
    });
  };
  pool_.post(std::move(ask));
}

void HostResolver::end(const std::string& asker) {
  const auto running = running_.find(asker);
  if (--running->second == 0) running_.erase(running);
  --running_count_;
  begin_waiting();
}

void HostResolver::keep(const std::string& host, std::vector<address> addresses) {
  const auto now = Clock::now();
  const auto is_old = [now](const auto& entry) { return now - entry.second.since >= kKeep; };
  const auto known = kept_.find(host);
  const bool holds = known != kept_.end() && !known->second.addresses.empty() && !is_old(*known);
  if (addresses.empty() && holds) return;
  if (kept_.size() >= kKeptMax) std::erase_if(kept_, is_old);
  if (kept_.size() < kKeptMax || kept_.contains(host)) kept_[host] = {std::move(addresses), now};
}

}  // namespace cellar::net
