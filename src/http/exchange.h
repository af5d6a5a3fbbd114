#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "http/message.h"

namespace cellar::http {

namespace asio = boost::asio;

// One request and its answer: either respond() once, or start_stream(), send() as often as wanted
// and finish(). Loop thread only. When the client goes away the handler is canceled: its next wait
// throws.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;
  // Whether there is a body to read (its size may be unknown).
  virtual bool has_body() const = 0;
  // The whole body. Throws Error `too_large`, reason `body_too_large`, above `bytes_max`, before it
  // reads what is announced to be larger; `invalid_argument` where the client ends it early.
  virtual asio::awaitable<std::string> read_body(std::size_t bytes_max) = 0;

  virtual asio::awaitable<void> respond(Response response) = 0;

  // Begins an answer whose length nobody knows. `response.body` is sent at once.
  virtual asio::awaitable<void> start_stream(Response response) = 0;
  // Waits until the client has taken it, at most a fixed time: a client that reads nothing is cut
  // off. Throws Error `canceled` then.
  virtual asio::awaitable<void> send(std::string bytes) = 0;
  virtual asio::awaitable<void> finish() = 0;

  // Whether an answer has begun: an error can only be told in a stream's own words then.
  virtual bool has_answered() const = 0;
};

}  // namespace cellar::http
