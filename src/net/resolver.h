#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <deque>
#include <functional>
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
  // came in time. `asker` is the cell that wants to know; empty: the daemon itself. Throws Error
  // `canceled`. Loop thread.
  virtual asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host,
                                                                  std::string asker = {},
                                                                  Work work = {}) = 0;
};

// Asks as every program of the host does (getaddrinfo), on threads of its own, and remembers an
// answer for kKeep, and for the cells that there was none in time. What waits for a thread has it
// by turns of the cells; a cell whose lookups go on has no more of them than one once half of the
// threads are busy, and some threads are the daemon's alone: names that nobody answers keep theirs
// for long. One for all cells; outlives them, and the loop outlives it. The destructor waits for
// what is being asked.
class HostResolver : public Resolver {
 public:
  static constexpr std::chrono::seconds kLimit{10};
  static constexpr std::chrono::seconds kKeep{30};
  static constexpr std::size_t kKeptMax = 1024;

  static constexpr unsigned kThreads = 32;
  static constexpr unsigned kOwnShare = 8;  // one thread in so many is the daemon's

  // How the host is asked; blocks.
  using Ask = std::function<std::vector<asio::ip::address>(const std::string& host,
                                                           boost::system::error_code& error)>;

  // `ask` and `limit` are seams for tests; an empty one: getaddrinfo.
  explicit HostResolver(asio::any_io_executor executor, unsigned thread_count = kThreads,
                        Ask ask = {}, std::chrono::milliseconds limit = kLimit);

  asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host, std::string asker,
                                                          Work work) override;

 private:
  struct Lookup;
  using Lookups = std::deque<std::shared_ptr<Lookup>>;  // shared with who waits for them
  struct Kept {
    std::vector<asio::ip::address> addresses;
    std::chrono::steady_clock::time_point since;
  };

  // Nothing in time is not kept in the place of an answer that holds.
  void keep(const std::string& host, std::vector<asio::ip::address> addresses);
  bool may_begin(const std::string& asker) const;
  void begin_waiting();
  void begin(std::shared_ptr<Lookup> lookup);
  void end(const std::string& asker);

  asio::any_io_executor executor_;
  unsigned thread_count_;
  Ask ask_;
  std::chrono::milliseconds limit_;
  std::map<std::string, Kept> kept_;
  std::map<std::string, Lookups> waiting_;   // by asker
  std::map<std::string, unsigned> running_;  // how many, by asker
  unsigned running_count_ = 0;
  std::string last_;  // asker that was given a thread
  async::Pool pool_;
};

}  // namespace cellar::net
