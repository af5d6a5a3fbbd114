// The least that the HTTP library of cellard does for a request: hello_server BODY. Prints its
// port, answers every GET with BODY, and GET /events with a stream that gets each line of its
// input as an event. One thread, coroutines and time limits as in cellard.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <cstdio>
#include <list>
#include <string>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr std::chrono::seconds kLimit{30};

struct Server {
  std::string body;
  std::list<beast::tcp_stream> streams;
};

asio::awaitable<void> begin_stream(Server& server, beast::tcp_stream stream) {
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  co_await asio::async_write(stream, asio::buffer(head), asio::use_awaitable);
  stream.expires_never();
  server.streams.push_back(std::move(stream));
}

asio::awaitable<void> serve(Server& server, asio::ip::tcp::socket socket) {
  beast::tcp_stream stream(std::move(socket));
  stream.socket().set_option(asio::ip::tcp::no_delay(true));
  beast::flat_buffer buffer;
  bool go_on = true;
  while (go_on) {
    stream.expires_after(kLimit);
    beast::http::request<beast::http::empty_body> request;
    co_await beast::http::async_read(stream, buffer, request, asio::use_awaitable);
    if (request.target() == "/events") {
      co_await begin_stream(server, std::move(stream));
      co_return;
    }
    go_on = request.keep_alive();
    beast::http::response<beast::http::string_body> response(beast::http::status::ok, 11);
    response.set(beast::http::field::content_type, "application/json");
    response.keep_alive(go_on);
    response.body() = server.body;
    response.prepare_payload();
    co_await beast::http::async_write(stream, response, asio::use_awaitable);
  }
}

// A connection's end is no concern of anybody else's.
const auto kIgnored = [](const std::exception_ptr&) {};

asio::awaitable<void> accept_all(Server& server, asio::ip::tcp::acceptor acceptor) {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) {
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(executor, serve(server, std::move(socket)), kIgnored);
  }
}

asio::awaitable<void> send_lines(Server& server, asio::posix::stream_descriptor input) {
  std::string lines;
  for (;;) {
    const std::size_t size = co_await asio::async_read_until(input, asio::dynamic_buffer(lines),
                                                             '\n', asio::use_awaitable);
    const std::string event = "data: " + lines.substr(0, size) + "\n";
    char length[16];
    std::snprintf(length, sizeof length, "%zx\r\n", event.size());
    const std::string chunk = length + event + "\r\n";
    for (beast::tcp_stream& stream : server.streams) {
      stream.socket().send(asio::buffer(chunk));
    }
    lines.erase(0, size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "hello_server BODY\n");
    return 2;
  }
  asio::io_context loop(1);
  Server server{.body = argv[1], .streams = {}};
  asio::ip::tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0}, true);
  std::printf("%u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  asio::co_spawn(loop, accept_all(server, std::move(acceptor)), kIgnored);
  const auto end = [&loop](const std::exception_ptr&) { loop.stop(); };  // of its input
  asio::co_spawn(loop, send_lines(server, asio::posix::stream_descriptor(loop, ::dup(0))), end);
  loop.run();
}
