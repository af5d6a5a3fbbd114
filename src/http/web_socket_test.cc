#include "http/web_socket.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <exception>

#include "async/event.h"
#include "async/task_group.h"

namespace cellar::http {
namespace {

using asio::ip::tcp;
using std::string_literals::operator""s;

RawRequest web_socket_request() {
  RawRequest request;
  request.method(boost::beast::http::verb::get);
  request.target("/");
  request.version(11);
  request.set("Host", "x");
  request.set("Connection", "Upgrade");
  request.set("Upgrade", "websocket");
  request.set("Sec-WebSocket-Version", "13");
  request.set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  return request;
}

asio::awaitable<void> read_until_it_fails(WebSocket& socket) {
  while (co_await socket.read()) {
  }
}

asio::awaitable<void> send_until_it_fails(WebSocket& socket) {
  for (;;) {
    WebSocket::Message message;
    message.bytes.assign(1 << 20, 'x');
    co_await socket.send(std::move(message));
  }
}

asio::awaitable<void> close_after(WebSocket& socket, int turns) {
  for (int turn = 0; turn < turns; ++turn) co_await asio::post(asio::use_awaitable);
  co_await socket.close();
}

asio::awaitable<void> tell_end(asio::awaitable<void> work, async::Event& ended) {
  try {
    co_await std::move(work);
  } catch (const Error&) {
    ended.set();
    throw;
  }
  ended.set();
}

// Runs both at once; both must end, well or not.
asio::awaitable<void> await_both(asio::awaitable<void> one, asio::awaitable<void> other) {
  const auto executor = co_await asio::this_coro::executor;
  async::Event one_ended(executor);
  async::Event other_ended(executor);
  async::TaskGroup tasks(executor);
  tasks.spawn(tell_end(std::move(one), one_ended));
  tasks.spawn(tell_end(std::move(other), other_ended));
  const std::chrono::seconds kLimit(10);
  const bool has_one_ended = co_await one_ended.wait_for(kLimit);
  CHECK(has_one_ended);
  const bool has_other_ended = co_await other_ended.wait_for(kLimit);
  CHECK(has_other_ended);
  co_await tasks.close();
}

// The server's end of a new connection.
asio::awaitable<tcp::socket> accept_from(tcp::socket& client) {
  const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);
  tcp::acceptor acceptor(client.get_executor(), any_port);
  co_await client.async_connect(acceptor.local_endpoint(), asio::use_awaitable);
  tcp::socket accepted = co_await acceptor.async_accept(asio::use_awaitable);
  accepted.non_blocking(true);
  co_return accepted;
}

// Reads a socket whose client has sent `frames`, and closes it so many turns of the loop later;
// both must end.
asio::awaitable<void> read_and_close(std::string frames, int turns) {
  const auto executor = co_await asio::this_coro::executor;
  tcp::socket client(executor);
  tcp::socket accepted = co_await accept_from(client);
  const std::chrono::seconds kWriteLimit(2);
  Stream stream(std::move(accepted), kWriteLimit);
  const RawRequest request = web_socket_request();
  const auto socket = co_await accept_web_socket(stream, request, "", kWriteLimit);
  std::string head;
  co_await asio::async_read_until(client, asio::dynamic_buffer(head), "\r\n\r\n",
                                  asio::use_awaitable);
  co_await asio::async_write(client, asio::buffer(frames), asio::use_awaitable);
  co_await stream.next_layer().socket().async_wait(tcp::socket::wait_read, asio::use_awaitable);
  // What the client sent is taken before the close has gone out, and looked at behind its begin.
  co_await await_both(read_until_it_fails(*socket), close_after(*socket, turns));
}

// Reads and sends, to a client that takes nothing and says nothing.
asio::awaitable<void> send_in_vain() {
  const auto executor = co_await asio::this_coro::executor;
  tcp::socket client(executor);
  const std::chrono::seconds kWriteLimit(1);
  Stream stream(co_await accept_from(client), kWriteLimit);
  const RawRequest request = web_socket_request();
  const auto socket = co_await accept_web_socket(stream, request, "", kWriteLimit);
  co_await await_both(read_until_it_fails(*socket), send_until_it_fails(*socket));
}

void rethrow(const std::exception_ptr& failure) {
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

TEST_CASE("a close ends, and the read beside it, whatever the client sends meanwhile") {
  const std::string mask = "\0\0\0\0"s;
  const std::string begin = "\x01\x81"s + mask + "x";
  const std::string end = "\x80\x81"s + mask + "y";
  const std::string message = "\x81\x81"s + mask + "x";
  asio::io_context loop;
  for (const std::string& frames : {
           message, begin + end, message + begin + end,
           message + begin + "\x89\x80"s + mask + end,  // a ping between both
           "\x88\x82"s + mask + "\x03\xe8",             // its own good-bye
           "\x89\x80"s + mask,                          // a ping
           end,                                         // of a message that has no begin
           "\x8f\x80"s + mask,                          // no frame that there is
           "\x81\x01x"s,                                // not masked
       }) {
    // More turns than the longest of them takes to be read.
    for (int turns = 0; turns < 20; ++turns) {
      asio::co_spawn(loop, read_and_close(frames, turns), rethrow);
    }
  }
  loop.run();
}

TEST_CASE("a client that takes nothing is given up in time, and the read beside it ends") {
  asio::io_context loop;
  asio::co_spawn(loop, send_in_vain(), rethrow);
  loop.run();
}

}  // namespace cellar::http
