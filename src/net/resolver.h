#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/pool.h"

namespace cellar::net {

namespace asio = boost::asio;

// Turns names into addresses, on the host's side.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // What lasts as long as somebody is at work for a lookup, which may be longer than its caller
  // waits. Let go of on the loop's thread.
  using Work = std::shared_ptr<void>;

  // The addresses of `host`, in the order to try them; none where it has none, or where no answer
  // came in time. Throws Error `canceled`. Loop thread.
  virtual asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host,
                                                                  Work work = {}) = 0;
};

// Asks as every program of the host does (getaddrinfo), on threads of its own, and remembers an
// answer for kKeep. One for all cells; outlives them, and the loop outlives it. The destructor
// waits for what is being asked.
class HostResolver : public Resolver {
 public:
  static constexpr std::chrono::seconds kLimit{10};
  static constexpr std::chrono::seconds kKeep{30};
  static constexpr std::size_t kKeptMax = 1024;

  // Those of a few cells whose names nobody answers leave some for the others.
  static constexpr unsigned kThreads = 32;

  explicit HostResolver(asio::any_io_executor executor, unsigned thread_count = kThreads);

  asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host, Work work) override;

 private:
  struct Lookup;
  struct Kept {
    std::vector<asio::ip::address> addresses;
    std::chrono::steady_clock::time_point since;
  };

  void keep(const std::string& host, std::vector<asio::ip::address> addresses);

  asio::any_io_executor executor_;
  std::map<std::string, Kept> kept_;
  async::Pool pool_;
};

}  // namespace cellar::net
