#include "http/relay.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"
#include "http/piece_body.h"

namespace cellar::http {
namespace {

namespace beast = boost::beast;
using Clock = std::chrono::steady_clock;
using AnswerParser = beast::http::response_parser<PieceBody>;

constexpr int kInterimAnswersMax = 16;
constexpr std::size_t kRelayPieceMax = 64 << 10;
constexpr std::size_t kReadBytes = 32 << 10;  // As it is made, a buffer takes 512 at a time.

[[noreturn]] void throw_no_answer(const std::string& why) {
  throw Error(ErrorCode::unavailable, "no_answer", "the server in the cell gave no answer: " + why,
              "look at the server's own output");
}

[[noreturn]] void throw_cut(const std::string& why) {
  throw Error(ErrorCode::canceled, "the server in the cell ended in the middle: " + why);
}

// One request on its way through.
class Relay {
 public:
  Relay(Exchange& exchange, asio::ip::tcp::socket socket, RelayRequest request, RelayLimits limits,
        RelayHooks hooks)
      : exchange_(exchange),
        server_(std::move(socket)),
        request_(std::move(request)),
        limits_(limits),
        hooks_(std::move(hooks)),
        buffer_(limits.head_bytes_max + kReadBytes) {}

  asio::awaitable<void> run() {
    co_await send_head();
    async::TaskGroup sending(co_await asio::this_coro::executor);
    if (exchange_.has_body()) {
      sending.spawn(send_body());
      sending.spawn(end_when_late());
    }
    std::exception_ptr failure;
    try {
      co_await take_answer();
    } catch (...) {
      failure = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await sending.close();
    if (failure) std::rethrow_exception(failure);
  }

 private:
  void require_going_on() const {
    if (hooks_.may_go_on && !hooks_.may_go_on()) {
      throw Error(ErrorCode::canceled, "what let the client in has ended");
    }
  }

  asio::awaitable<void> write(std::string bytes) {
    require_going_on();
    if (hooks_.before_write) co_await hooks_.before_write();
    server_.expires_after(limits_.write_limit);
    co_await asio::async_write(server_, asio::buffer(bytes), asio::use_awaitable);
    last_bytes_at_ = Clock::now();
  }

  asio::awaitable<void> send_head() {
    std::string head = exchange_.request().method + " " + request_.target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : request_.fields) head += name + ": " + value + "\r\n";
    if (exchange_.has_body()) request_.upgrade.clear();
    if (!request_.upgrade.empty()) {
      head += "Connection: Upgrade\r\nUpgrade: " + request_.upgrade + "\r\n";
    } else {
      head += "Connection: close\r\n";
    }
    const std::string* length = exchange_.request().header("content-length");
    is_chunked_ = exchange_.has_body() && length == nullptr;
    if (length != nullptr) head += "Content-Length: " + *length + "\r\n";
    if (is_chunked_) head += "Transfer-Encoding: chunked\r\n";
    boost::system::error_code failure;
    try {
      co_await write(head + "\r\n");
    } catch (const boost::system::system_error& error) {
      failure = error.code();
    }
    if (failure == asio::error::operation_aborted) throw_cut(failure.message());
    if (failure) throw_no_answer(failure.message());
  }

  // Ends without a word where the server takes no more: its answer says why.
  asio::awaitable<void> send_body() {
    try {
      for (;;) {
        std::string piece = co_await exchange_.read_piece();
        const bool is_end = piece.empty();
        if (is_chunked_) piece = chunk_of(std::move(piece));
        if (!piece.empty()) co_await write(std::move(piece));
        if (is_end) co_return;
      }
    } catch (const boost::system::system_error&) {
    } catch (const Error&) {  // The client ended it early: the server must not take it for whole.
      boost::system::error_code ignored;
      server_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    }
  }

  asio::awaitable<void> until_idle_for(std::chrono::milliseconds limit) {
    for (;;) {
      const auto left = last_bytes_at_ + limit - Clock::now();
      if (left <= Clock::duration::zero()) co_return;
      co_await async::sleep_for(std::chrono::ceil<std::chrono::milliseconds>(left));
    }
  }

  // A server is late with its head once neither that nor the request's body has moved for a while.
  asio::awaitable<void> end_when_late() {
    co_await until_idle_for(limits_.idle_limit);
    if (has_head_) co_return;
    is_late_ = true;
    server_.close();
  }

  // The head that the server means, interim ones left out.
  asio::awaitable<void> read_head() {
    for (int count = 0; count <= kInterimAnswersMax; ++count) {
      parser_.emplace();
      parser_->header_limit(static_cast<std::uint32_t>(limits_.head_bytes_max));
      parser_->body_limit(boost::none);
      parser_->skip(exchange_.request().method == "HEAD");
      if (exchange_.has_body()) {
        server_.expires_never();  // end_when_late(): the server may wait for the rest of the body.
      } else {
        server_.expires_after(limits_.idle_limit);
      }
      boost::system::error_code error;
      co_await beast::http::async_read_header(server_, buffer_, *parser_,
                                              asio::redirect_error(asio::use_awaitable, error));
      if (is_late_) throw_no_answer("nothing came in time");
      if (error == asio::error::operation_aborted) throw_cut(error.message());
      if (error) throw_no_answer(error.message());
      last_bytes_at_ = Clock::now();
      const int status = parser_->get().result_int();
      if (status == 101 || status >= 200) co_return;
    }
    throw_no_answer("it sent too many interim answers");
  }

  asio::awaitable<void> take_answer() {
    co_await read_head();
    has_head_ = true;
    const int status = parser_->get().result_int();
    if (status == 101) {
      if (request_.upgrade.empty()) throw_no_answer("it upgrades what nobody asked it to");
      co_await join();
      co_return;
    }
    ForeignHead head;
    head.status = status;
    head.reason = std::string(parser_->get().reason());
    head.fields = end_to_end(fields_of(parser_->get()));
    if (hooks_.edit_answer) hooks_.edit_answer(status, head.fields);
    const auto length = parser_->content_length();
    if (length && status != 204) head.length = *length;
    co_await exchange_.start_foreign(std::move(head));
    const bool has_body = exchange_.request().method != "HEAD" && status != 204 && status != 304;
    if (has_body) co_await pass_body();
    co_await exchange_.finish();
  }

  asio::awaitable<void> pass_body() {
    parser_->eager(true);
    buffer_.reserve(kReadBytes);
    boost::system::error_code error;
    for (;;) {
      std::string& body = parser_->get().body();
      if (!body.empty()) {
        std::string piece = std::move(body);
        body.clear();
        require_going_on();
        co_await exchange_.send(std::move(piece));
      }
      if (error) throw_cut(error.message());
      if (parser_->is_done()) co_return;
      server_.expires_after(limits_.idle_limit);
      co_await beast::http::async_read_some(server_, buffer_, *parser_,
                                            asio::redirect_error(asio::use_awaitable, error));
      if (error == beast::http::error::end_of_stream && parser_->need_eof()) {
        parser_->put_eof(error);
      }
    }
  }

  // ---- after an upgrade ----

  asio::awaitable<void> join() {
    const Fields answered = fields_of(parser_->get());
    Fields fields = end_to_end(answered);
    if (hooks_.edit_answer) hooks_.edit_answer(101, fields);
    fields.emplace_back("Connection", "Upgrade");
    const std::string protocol(first(answered, "upgrade"));
    fields.emplace_back("Upgrade", protocol.empty() ? request_.upgrade : protocol);
    client_ = co_await exchange_.upgrade(std::move(fields));
    async::TaskGroup sending(co_await asio::this_coro::executor);
    sending.spawn(client_to_server());
    sending.spawn(end_when_idle());
    std::exception_ptr failure;
    try {
      co_await server_to_client();
    } catch (...) {
      failure = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (failure) client_->close();
    co_await sending.close();
    if (failure) std::rethrow_exception(failure);
  }

  asio::awaitable<void> client_to_server() {
    try {
      for (;;) {
        std::string bytes = co_await client_->read();
        if (bytes.empty()) break;
        last_bytes_at_ = Clock::now();
        co_await write(std::move(bytes));
      }
      boost::system::error_code ignored;
      server_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      co_return;
    } catch (const Error&) {  // The client is gone.
    } catch (const boost::system::system_error&) {
    }
    server_.close();
  }

  asio::awaitable<void> end_when_idle() {
    last_bytes_at_ = Clock::now();
    co_await until_idle_for(limits_.upgraded_idle_limit);
    client_->close();
    server_.close();
  }

  asio::awaitable<void> server_to_client() {
    if (buffer_.size() > 0) {
      const auto data = buffer_.data();
      std::string bytes(static_cast<const char*>(data.data()), data.size());
      buffer_.consume(buffer_.size());
      co_await client_->write(std::move(bytes));
    }
    for (;;) {
      std::string bytes(kRelayPieceMax, '\0');
      server_.expires_never();
      boost::system::error_code error;
      const std::size_t size = co_await server_.async_read_some(
          asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::eof) break;
      if (error) throw_cut(error.message());
      last_bytes_at_ = Clock::now();
      bytes.resize(size);
      require_going_on();
      co_await client_->write(std::move(bytes));
    }
    client_->end_writing();
  }

  Exchange& exchange_;
  beast::tcp_stream server_;
  RelayRequest request_;
  RelayLimits limits_;
  RelayHooks hooks_;
  // Limited: between the chunks of a body the parser takes as much as a server sends.
  beast::flat_buffer buffer_;
  std::optional<AnswerParser> parser_;
  std::unique_ptr<RawConnection> client_;
  Clock::time_point last_bytes_at_;  // to the server; since an upgrade, from it, too
  bool is_chunked_ = false;
  bool has_head_ = false;
  bool is_late_ = false;
};

}  // namespace

asio::awaitable<std::optional<asio::ip::tcp::socket>> connect_inside(
    asio::any_io_executor executor, int fd, Inside to, std::chrono::milliseconds limit) {
  beast::tcp_stream stream(executor);
  asio::ip::tcp::endpoint endpoint;
  if (to.is_v6) {
    asio::ip::address_v6 address(to.address);
    if (address.is_unspecified()) address = asio::ip::address_v6::loopback();
    endpoint = asio::ip::tcp::endpoint(address, to.port);
  } else {
    asio::ip::address_v4::bytes_type bytes{};
    std::copy_n(to.address.begin(), bytes.size(), bytes.begin());
    asio::ip::address_v4 address(bytes);
    if (address.is_unspecified()) address = asio::ip::address_v4::loopback();
    endpoint = asio::ip::tcp::endpoint(address, to.port);
  }
  stream.socket().assign(endpoint.protocol(), fd);
  stream.socket().set_option(asio::ip::tcp::no_delay(true));
  stream.expires_after(limit);
  boost::system::error_code error;
  co_await stream.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::operation_aborted) throw_cut(error.message());
  if (error) co_return std::nullopt;
  co_return stream.release_socket();
}

asio::awaitable<void> relay(Exchange& exchange, asio::ip::tcp::socket socket, RelayRequest request,
                            RelayLimits limits, RelayHooks hooks) {
  Relay one(exchange, std::move(socket), std::move(request), limits, std::move(hooks));
  co_await one.run();
}

}  // namespace cellar::http
