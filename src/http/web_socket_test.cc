#include "http/web_socket.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <string_view>

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

asio::awaitable<void> read_until_it_fails(WebSocket& socket, async::Event& ended) {
  try {
    while (co_await socket.read()) {
    }
  } catch (const Error&) {
    ended.set();
    throw;
  }
  ended.set();
}

asio::awaitable<void> close_and_tell(WebSocket& socket, async::Event& ended) {
  try {
    co_await socket.close();
  } catch (const Error&) {
    ended.set();
    throw;
  }
  ended.set();
}

// Reads and closes at once a socket whose client has sent `frames`; both must end.
asio::awaitable<void> read_and_close(std::string frames) {
  const auto executor = co_await asio::this_coro::executor;
  const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);
  tcp::acceptor acceptor(executor, any_port);
  tcp::socket client(executor);
  co_await client.async_connect(acceptor.local_endpoint(), asio::use_awaitable);
  tcp::socket accepted = co_await acceptor.async_accept(asio::use_awaitable);
  accepted.non_blocking(true);
  const std::chrono::seconds kWriteLimit(1);
  Stream stream(std::move(accepted), kWriteLimit);
  const RawRequest request = web_socket_request();
  const auto socket = co_await accept_web_socket(stream, request, "", kWriteLimit);
  std::string head;
  co_await asio::async_read_until(client, asio::dynamic_buffer(head), "\r\n\r\n",
                                  asio::use_awaitable);
  co_await asio::async_write(client, asio::buffer(frames), asio::use_awaitable);
  co_await stream.next_layer().socket().async_wait(tcp::socket::wait_read, asio::use_awaitable);
  async::Event read_ended(executor);
  async::Event close_ended(executor);
  async::TaskGroup tasks(executor);
  // What the client sent is taken before the close has gone out, and looked at behind its begin.
  tasks.spawn(read_until_it_fails(*socket, read_ended));
  tasks.spawn(close_and_tell(*socket, close_ended));
  const std::chrono::seconds kLimit(10);
  const bool has_read = co_await read_ended.wait_for(kLimit);
  CHECK(has_read);
  const bool has_closed = co_await close_ended.wait_for(kLimit);
  CHECK(has_closed);
  co_await tasks.close();
}

}  // namespace

TEST_CASE("a close ends, and the read beside it, whatever the client sends meanwhile") {
  const std::string mask = "\0\0\0\0"s;
  asio::io_context loop;
  const auto rethrow = [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  };
  for (const std::string& frames : {
           "\x81\x81"s + mask + "x",         // a message
           "\x88\x82"s + mask + "\x03\xe8",  // its own good-bye
           "\x89\x80"s + mask,               // a ping
           "\x80\x81"s + mask + "x",         // the rest of a message that has no begin
           "\x8f\x80"s + mask,               // no frame that there is
           "\x81\x01x"s,                     // not masked
       }) {
    asio::co_spawn(loop, read_and_close(frames), rethrow);
  }
  loop.run();
}

}  // namespace cellar::http
