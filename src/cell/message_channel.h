#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>
#include <span>
#include <string_view>

#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace cellar::cell {

namespace asio = boost::asio;

// A seqpacket socket in the loop. Loop thread only.
class MessageChannel {
 public:
  MessageChannel(const asio::any_io_executor& executor, sys::Fd socket);

  // Never waits. Throws Error `unavailable` where the other side is gone or reads too slowly.
  void send(std::string_view bytes, std::span<const int> fds = {});
  // The next message; nullopt once the other side is gone. One receiver at a time.
  asio::awaitable<std::optional<sys::Message>> receive();
  // Whether the other side is gone, whatever receive() has still to give.
  bool has_hung_up();
  // Ends a receive() that waits, and the connection.
  void close();

 private:
  asio::posix::stream_descriptor socket_;
};

}  // namespace cellar::cell
