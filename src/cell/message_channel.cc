#include "cell/message_channel.h"

#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "base/error.h"

namespace cellar::cell {

MessageChannel::MessageChannel(const asio::any_io_executor& executor, sys::Fd socket)
    : socket_(executor) {
  sys::set_nonblocking(socket.get());
  socket_.assign(socket.release());
}

void MessageChannel::send(std::string_view bytes, std::span<const int> fds) {
  if (!socket_.is_open()) throw Error(ErrorCode::unavailable, "the connection is closed");
  if (!sys::send_message(socket_.native_handle(), bytes, fds, sys::Wait::no)) {
    throw Error(ErrorCode::unavailable, "the other side does not read its messages");
  }
}

asio::awaitable<std::optional<sys::Message>> MessageChannel::receive() {
  for (;;) {
    if (!socket_.is_open()) co_return std::nullopt;
    bool would_block = false;
    std::optional<sys::Message> message;
    try {
      message = sys::receive_message(socket_.native_handle(), sys::Wait::no, &would_block);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;  // A reset is an end like any other.
    }
    if (message || !would_block) co_return message;
    try {
      co_await socket_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    } catch (const boost::system::system_error&) {
      if (!socket_.is_open()) co_return std::nullopt;
      throw;
    }
  }
}

bool MessageChannel::has_hung_up() {
  return !socket_.is_open() || sys::has_hung_up(socket_.native_handle());
}

void MessageChannel::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace cellar::cell
