#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <utility>

#include "base/error.h"
#include "http/server.h"

namespace cellar::http {

// A body or an answer of so many bytes has room in any case.
inline constexpr std::size_t kSmallBodyBytes = 64 << 10;

// TLS of one connection that has not begun, in the list of all of them as long as it exists or
// until it has to give way.
class Handshake {
 public:
  using All = std::list<Handshake*>;  // the oldest first

  // Both outlive it.
  Handshake(All& all, asio::ip::tcp::socket& socket)
      : all_(all), socket_(socket), at_(all.insert(all.end(), this)) {}
  ~Handshake() {
    if (at_ != all_.end()) all_.erase(at_);
  }
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  void give_way() {
    all_.erase(at_);
    at_ = all_.end();
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

 private:
  All& all_;
  asio::ip::tcp::socket& socket_;
  All::iterator at_;
};

// What the connections of a server share.
struct Traffic {
  bool draining = false;         // no connection takes another request
  std::size_t busy_count = 0;    // requests under way
  std::size_t body_bytes = 0;    // of their bodies, as far as they have come
  std::size_t answer_bytes = 0;  // that clients have not taken
  Handshake::All handshakes;
};

// Counts one while it exists.
class Counted {
 public:
  explicit Counted(std::size_t& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t& count_;
};

// Has so many bytes, an answer or the next ones of it, counted until the client has taken them.
// Throws Error `exhausted`, reason kAnswersFull, where that is too much beside all others; a small
// one is always sent.
class HeldAnswer {
 public:
  enum class Of : std::uint8_t { whole, stream };

  HeldAnswer(Traffic& traffic, const ServerOptions& options, std::size_t bytes, Of of)
      : traffic_(&traffic), bytes_(bytes) {
    if (bytes > kSmallBodyBytes && traffic.answer_bytes + bytes > options.answers_bytes_max) {
      const bool is_whole = of == Of::whole;
      throw Error(ErrorCode::exhausted, std::string(kAnswersFull),
                  std::string(is_whole ? "what was asked for is done, and " : "") +
                      "the answers that other clients have not taken yet leave no room for " +
                      (is_whole ? "this one" : "more of this one") + " in the " +
                      std::to_string(options.answers_bytes_max >> 20) + " MiB that there are",
                  is_whole ? "ask for less at once" : "go on a while later where it ended");
    }
    traffic.answer_bytes += bytes;
  }
  ~HeldAnswer() {
    if (traffic_ != nullptr) traffic_->answer_bytes -= bytes_;
  }
  HeldAnswer(HeldAnswer&& other) noexcept
      : traffic_(std::exchange(other.traffic_, nullptr)), bytes_(other.bytes_) {}
  HeldAnswer& operator=(HeldAnswer&&) = delete;

 private:
  Traffic* traffic_;
  std::size_t bytes_;
};

}  // namespace cellar::http
