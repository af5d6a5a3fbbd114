#include "http/session.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "http/head.h"
#include "http/piece_body.h"
#include "net/tls_either.h"

namespace cellar::http {
namespace {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<PieceBody>;
using Status = beast::http::status;

// Its limits are those of the TCP stream below.
class Stream : public net::TlsEither<beast::tcp_stream> {
 public:
  using TlsEither::TlsEither;
};

// The library behind WebSockets asks for it at their end: whoever has the stream closes it.
template <typename Handler>
void async_teardown(beast::role_type, Stream& stream, Handler&& handler) {
  auto done = [handler = std::forward<Handler>(handler)]() mutable {
    handler(boost::system::error_code());
  };
  asio::post(stream.get_executor(), std::move(done));
}

constexpr std::uint64_t kNoLimit = UINT64_MAX;
// For a client that still sends what nobody reads.
constexpr std::chrono::seconds kLingerLimit{5};
constexpr std::chrono::seconds kGoodbyeLimit{1};
constexpr std::size_t kLingerBytesMax = 256 << 20;
// Of what goes through an upgraded connection, at once.
constexpr std::size_t kPieceBytesMax = 64 << 10;
// How every TLS client begins, and what those are told that do not.
constexpr std::size_t kFirstBytesMax = 4096;
constexpr char kHandshakeRecord = 0x16;
constexpr std::string_view kNoTls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    "{\"error\":\"this port speaks TLS: write https://\",\"code\":\"tls_required\","
    "\"retryable\":false,\"request_id\":\"-\"}";
// Of a body, at once: as it is made, a buffer takes 512 bytes.
constexpr std::size_t kBodyReadBytes = 32 << 10;

Request to_request(const Parser& parser) {
  const auto& message = parser.get();
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  const std::size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  for (const auto& field : message) {
    request.headers[to_lower_ascii(field.name_string())] = std::string(field.value());
  }
  if (question != std::string::npos) {
    auto query = parse_query(std::string_view(request.target).substr(question + 1));
    request.has_broken_query = !query;
    if (query) request.query = std::move(*query);
  }
  return request;
}

beast::http::response<beast::http::string_body> to_beast(Response response, bool keep_alive) {
  beast::http::response<beast::http::string_body> message(static_cast<Status>(response.status), 11);
  const bool has_body = response.status != 204 && response.status != 304;
  if (has_body) message.set(beast::http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(keep_alive);
  message.body() = std::move(response.body);
  return message;
}

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

[[noreturn]] void throw_gone(const boost::system::error_code& error) {
  throw Error(ErrorCode::canceled, "the connection ended: " + error.message());
}

// Of a client that says nothing: it is asked by a ping halfway.
constexpr std::chrono::seconds kIdleLimit{60};

class BeastWebSocket : public WebSocket {
 public:
  BeastWebSocket(Stream& stream, std::chrono::seconds write_limit) : socket_(stream) {
    beast::websocket::stream_base::timeout limits{};
    limits.handshake_timeout = write_limit;
    limits.idle_timeout = kIdleLimit;
    limits.keep_alive_pings = true;
    stream.next_layer().expires_never();  // These limits take the place of the stream's own.
    socket_.set_option(limits);
    socket_.read_message_max(kMessageBytesMax);
  }

  asio::awaitable<void> accept(const beast::http::request<PieceBody>& request,
                               std::string protocol) {
    const auto name_protocol = [protocol](beast::websocket::response_type& response) {
      if (!protocol.empty()) response.set(beast::http::field::sec_websocket_protocol, protocol);
    };
    socket_.set_option(beast::websocket::stream_base::decorator(name_protocol));
    boost::system::error_code error;
    co_await socket_.async_accept(request, asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

  asio::awaitable<std::optional<Message>> read() override {
    beast::flat_buffer buffer;
    boost::system::error_code error;
    co_await socket_.async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
    if (error == beast::websocket::error::closed) co_return std::nullopt;
    if (error) throw_gone(error);
    co_return Message{.is_text = socket_.got_text(),
                      .bytes = beast::buffers_to_string(buffer.data())};
  }

  asio::awaitable<void> send(Message message) override {
    socket_.text(message.is_text);
    boost::system::error_code error;
    co_await socket_.async_write(asio::buffer(message.bytes),
                                 asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

  asio::awaitable<void> close() override {
    boost::system::error_code error;
    co_await socket_.async_close(beast::websocket::close_code::normal,
                                 asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

 private:
  beast::websocket::stream<Stream&> socket_;
};

class BeastExchange : public Exchange {
 public:
  BeastExchange(Stream& stream, beast::flat_buffer& buffer, Parser& parser,
                const ServerOptions& options, Traffic& traffic)
      : stream_(stream),
        buffer_(buffer),
        parser_(parser),
        options_(options),
        traffic_(traffic),
        busy_(traffic.busy_count) {}

  // Throws Error for a head that is no request of ours.
  void parse() {
    request_ = to_request(parser_);
    check_head(request_.target, fields_of(parser_.get()), parser_.get().version());
  }

  const Request& request() const override { return request_; }
  bool has_body() const override {
    const auto length = parser_.content_length();
    return parser_.chunked() || (length && *length > 0);
  }
  bool has_answered() const override { return answered_; }
  bool is_upgraded() const noexcept { return upgraded_; }
  Fields fields() const override { return fields_of(parser_.get()); }
  std::string client_address() const override {
    boost::system::error_code ignored;
    return stream_.next_layer().socket().remote_endpoint(ignored).address().to_string();
  }
  bool is_encrypted() const override { return stream_.is_tls(); }
  bool may_go_on() const {
    return finished_ && !upgraded_ && !traffic_.draining && parser_.is_done() &&
           parser_.get().keep_alive();
  }

  asio::awaitable<std::string> read_body(std::size_t bytes_max) override {
    const auto length = parser_.content_length();
    if (length && *length > bytes_max) throw_too_large(bytes_max);
    parser_.body_limit(bytes_max);
    co_await ask_for_body();
    stream_.next_layer().expires_after(options_.body_limit);
    boost::system::error_code error;
    co_await beast::http::async_read(stream_, buffer_, parser_,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (error == beast::http::error::body_limit) throw_too_large(bytes_max);
    if (error) {
      throw Error(ErrorCode::invalid_argument, "body_incomplete",
                  "the body could not be read: " + error.message());
    }
    co_return std::move(parser_.get().body());
  }

  asio::awaitable<std::string> read_piece() override {
    co_await ask_for_body();
    parser_.eager(true);
    buffer_.reserve(kBodyReadBytes);
    while (!parser_.is_done() && parser_.get().body().empty()) {
      stream_.next_layer().expires_after(options_.body_limit);
      boost::system::error_code error;
      co_await beast::http::async_read_some(stream_, buffer_, parser_,
                                            asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        throw Error(ErrorCode::invalid_argument, "body_incomplete",
                    "the body could not be read: " + error.message());
      }
    }
    std::string piece = std::move(parser_.get().body());
    parser_.get().body().clear();
    co_return piece;
  }

  asio::awaitable<void> respond(Response response) override {
    answered_ = true;
    // What is left of a body that nobody read would be taken for the next request.
    const bool keep_alive = !traffic_.draining && parser_.is_done() && parser_.get().keep_alive();
    auto message = to_beast(std::move(response), keep_alive);
    const bool is_head = parser_.get().method() == beast::http::verb::head;
    if (message.result() != Status::no_content) message.prepare_payload();
    if (is_head) message.body().clear();
    stream_.next_layer().expires_after(options_.write_limit);
    beast::http::serializer<false, beast::http::string_body> serializer(message);
    if (is_head) {
      co_await beast::http::async_write_header(stream_, serializer, asio::use_awaitable);
    } else {
      co_await beast::http::async_write(stream_, serializer, asio::use_awaitable);
    }
    finished_ = true;
  }

  asio::awaitable<void> start_stream(Response response) override {
    answered_ = true;
    busy_.reset();
    std::string body = std::move(response.body);
    beast::http::response<beast::http::empty_body> head(static_cast<Status>(response.status), 11);
    head.set(beast::http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) head.set(name, value);
    head.keep_alive(!traffic_.draining && parser_.get().keep_alive());
    head.chunked(true);
    is_chunked_ = true;
    stream_.next_layer().expires_after(options_.write_limit);
    beast::http::serializer<false, beast::http::empty_body> serializer(head);
    co_await beast::http::async_write_header(stream_, serializer, asio::use_awaitable);
    if (!body.empty()) co_await send(std::move(body));
  }

  asio::awaitable<void> start_foreign(ForeignHead head) override {
    answered_ = true;
    busy_.reset();
    const bool is_new = parser_.get().version() >= 11;
    // What a status or a method has no body for ends with the head.
    const bool has_body = parser_.get().method() != beast::http::verb::head && head.status >= 200 &&
                          head.status != 204 && head.status != 304;
    is_chunked_ = has_body && !head.length && is_new;
    const bool has_end = !has_body || head.length || is_chunked_;
    keeps_open_ = has_end && !traffic_.draining && parser_.is_done() && parser_.get().keep_alive();
    std::string text = "HTTP/1.1 " + std::to_string(head.status) + " ";
    text += head.reason.empty()
                ? std::string(beast::http::obsolete_reason(static_cast<Status>(head.status)))
                : head.reason;
    text += "\r\n";
    for (const auto& [name, value] : head.fields) text += name + ": " + value + "\r\n";
    if (head.length) text += "Content-Length: " + std::to_string(*head.length) + "\r\n";
    if (is_chunked_) text += "Transfer-Encoding: chunked\r\n";
    if (!keeps_open_) text += "Connection: close\r\n";
    if (keeps_open_ && !is_new) text += "Connection: keep-alive\r\n";
    text += "\r\n";
    stream_.next_layer().expires_after(options_.write_limit);
    co_await asio::async_write(stream_, asio::buffer(text), asio::use_awaitable);
  }

  asio::awaitable<std::unique_ptr<RawConnection>> upgrade(Fields fields) override;

  bool wants_web_socket() const override { return beast::websocket::is_upgrade(parser_.get()); }
  asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(std::string protocol) override {
    answered_ = upgraded_ = true;
    busy_.reset();
    auto socket = std::make_unique<BeastWebSocket>(stream_, options_.write_limit);
    co_await socket->accept(parser_.get(), std::move(protocol));
    co_return std::move(socket);
  }

  asio::awaitable<void> send(std::string bytes) override {
    if (is_chunked_) bytes = chunk_of(std::move(bytes));
    stream_.next_layer().expires_after(options_.write_limit);
    co_await asio::async_write(stream_, asio::buffer(bytes), asio::use_awaitable);
  }

  asio::awaitable<void> finish() override {
    const std::string end = is_chunked_ ? chunk_of("") : "";
    stream_.next_layer().expires_after(options_.write_limit);
    co_await asio::async_write(stream_, asio::buffer(end), asio::use_awaitable);
    finished_ = keeps_open_;
  }

 private:
  [[noreturn]] static void throw_too_large(std::size_t bytes_max) {
    throw Error(ErrorCode::too_large, "body_too_large",
                "the body is larger than " + std::to_string(bytes_max) + " bytes");
  }

  asio::awaitable<void> ask_for_body() {
    const std::string* expect = request_.header("expect");
    const bool waits = expect != nullptr && to_lower_ascii(*expect) == "100-continue";
    if (waits && !std::exchange(asked_for_body_, true) && !parser_.is_done()) {
      co_await send_continue();
    }
  }

  asio::awaitable<void> send_continue() {
    const std::string text = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream_, asio::buffer(text), asio::use_awaitable);
  }

  Stream& stream_;
  beast::flat_buffer& buffer_;
  Parser& parser_;
  const ServerOptions& options_;
  Traffic& traffic_;
  // A stream may have no end: the server does not wait for it when it stops.
  std::optional<Counted> busy_;
  Request request_;
  bool asked_for_body_ = false;
  bool answered_ = false;
  bool finished_ = false;
  bool upgraded_ = false;
  bool is_chunked_ = false;
  bool keeps_open_ = true;  // once it is finished
};

// What came behind the request's head is the connection's own already.
class BeastConnection : public RawConnection {
 public:
  BeastConnection(Stream& stream, beast::flat_buffer& buffer, std::chrono::seconds write_limit)
      : stream_(stream), buffer_(buffer), write_limit_(write_limit) {}

  asio::awaitable<std::string> read() override {
    if (buffer_.size() > 0) {
      std::string bytes = beast::buffers_to_string(buffer_.data());
      buffer_.consume(buffer_.size());
      co_return bytes;
    }
    std::string bytes(kPieceBytesMax, '\0');
    stream_.next_layer().expires_never();
    boost::system::error_code error;
    const std::size_t size = co_await stream_.async_read_some(
        asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error && error != asio::error::eof) throw_gone(error);
    bytes.resize(size);
    co_return bytes;
  }

  asio::awaitable<void> write(std::string bytes) override {
    stream_.next_layer().expires_after(write_limit_);
    boost::system::error_code error;
    co_await asio::async_write(stream_, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) throw_gone(error);
  }

  void end_writing() override {
    if (stream_.is_tls()) return;  // Its last words are said when the connection is closed.
    boost::system::error_code ignored;
    stream_.next_layer().socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }

  void close() override { stream_.next_layer().close(); }

 private:
  Stream& stream_;
  beast::flat_buffer& buffer_;
  std::chrono::seconds write_limit_;
};

asio::awaitable<std::unique_ptr<RawConnection>> BeastExchange::upgrade(Fields fields) {
  answered_ = upgraded_ = true;
  busy_.reset();
  std::string text = "HTTP/1.1 101 Switching Protocols\r\n";
  for (const auto& [name, value] : fields) text += name + ": " + value + "\r\n";
  text += "\r\n";
  stream_.next_layer().expires_after(options_.write_limit);
  co_await asio::async_write(stream_, asio::buffer(text), asio::use_awaitable);
  co_return std::make_unique<BeastConnection>(stream_, buffer_, options_.write_limit);
}

// Whether the client sends nothing more. Behind its last request a TLS client may have sent a
// good-bye that nobody has read yet.
bool has_left(Stream& stream) {
  asio::ip::tcp::socket& socket = stream.next_layer().socket();
  if (stream.is_tls()) {
    pollfd end{socket.native_handle(), POLLRDHUP, 0};
    return ::poll(&end, 1, 0) == 1;
  }
  char byte = 0;
  const ssize_t size = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size == 0 || (size == -1 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

// Whether a handler was canceled.
bool is_cancellation(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == ErrorCode::canceled;
  } catch (...) {
    return false;
  }
}

// Runs the handler until it ends, canceling it when the client goes away.
asio::awaitable<void> run_handler(asio::awaitable<void> handling, Stream& stream,
                                  BeastExchange& exchange) {
  const auto executor = co_await asio::this_coro::executor;
  struct Shared {
    explicit Shared(const asio::any_io_executor& on) : ended(on) {}
    asio::cancellation_signal cancel;
    async::Event ended;
    std::exception_ptr failure;
  };
  // Shared with the completion, which may come after a cancellation of this coroutine.
  const auto shared = std::make_shared<Shared>(executor);
  auto done = [shared](const std::exception_ptr& failure) {
    shared->failure = failure;
    shared->ended.set();
  };
  asio::co_spawn(executor, std::move(handling),
                 asio::bind_cancellation_slot(shared->cancel.slot(), std::move(done)));
  // Most handlers end within a millisecond and need no watch.
  const std::chrono::milliseconds kUnwatched(20);
  const std::chrono::milliseconds kWatchPause(100);
  std::chrono::milliseconds pause = kUnwatched;
  bool canceled = false;
  bool stopped = false;
  while (!shared->ended.is_set()) {
    try {
      co_await shared->ended.wait_for(pause);
    } catch (const Error&) {
      canceled = true;  // The server closes; the handler's frame must still end first.
    }
    pause = kWatchPause;
    if (canceled) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    const bool stop = canceled || (!exchange.is_upgraded() && has_left(stream));
    stopped = stopped || stop;
    if (stop && !shared->ended.is_set()) shared->cancel.emit(asio::cancellation_type::terminal);
  }
  if (!shared->failure) co_return;
  if (stopped || exchange.has_answered() || !is_cancellation(shared->failure)) {
    std::rethrow_exception(shared->failure);
  }
  // Nobody here canceled it: what it waited for did, and the client is still there.
  Response ended = refusal(503, "ended_meanwhile",
                           "what this waited for was ended: look whether it is still there");
  co_await exchange.respond(std::move(ended));
}

// What to answer to bytes that are no request; nullopt where nobody waits for an answer.
std::optional<Response> answer_to(const boost::system::error_code& error) {
  if (error == beast::http::error::header_limit) {
    return refusal(431, "head_too_large", "the head of the request is too large");
  }
  const bool is_syntax =
      error.category() == beast::http::make_error_code(beast::http::error::bad_method).category();
  if (!is_syntax || error == beast::http::error::end_of_stream ||
      error == beast::http::error::partial_message) {
    return std::nullopt;
  }
  return refusal(400, "bad_request", "this is no HTTP/1.1 request");
}

// The TLS of a connection, where the server speaks it. False where there is no more to be done.
asio::awaitable<bool> begin(Stream& stream, const ServerOptions& options, Traffic& traffic) {
  if (options.tls == nullptr) co_return true;
  const Counted handshake(traffic.handshake_count);
  stream.next_layer().expires_after(options.handshake_limit);
  std::string first(kFirstBytesMax, '\0');
  first.resize(co_await stream.async_read_some(asio::buffer(first), asio::use_awaitable));
  if (first.empty()) co_return false;
  if (first.front() != kHandshakeRecord) {
    co_await asio::async_write(stream, asio::buffer(kNoTls), asio::use_awaitable);
    co_return false;
  }
  co_await stream.begin_tls(*options.tls, std::move(first));
  co_return true;
}

// Reads and answers one request; false where it was the last of the connection.
asio::awaitable<bool> serve_request(Stream& stream, beast::flat_buffer& buffer,
                                    const ServerOptions& options, const Server::Handler& handler,
                                    Traffic& traffic) {
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser.body_limit(kNoLimit);
  boost::system::error_code error;
  co_await beast::http::async_read_header(stream, buffer, parser,
                                          asio::redirect_error(asio::use_awaitable, error));
  BeastExchange exchange(stream, buffer, parser, options, traffic);
  std::optional<Response> refused;
  if (error) {
    refused = answer_to(error);
    if (!refused) co_return false;
  } else {
    try {
      exchange.parse();
    } catch (const Error& failure) {
      refused = refusal(400, failure.reason(), failure.what());
    }
  }
  if (refused) {
    co_await exchange.respond(std::move(*refused));
    co_return false;
  }
  stream.next_layer().expires_never();
  auto handling = handler(exchange);
  co_await run_handler(std::move(handling), stream, exchange);
  co_return exchange.may_go_on();
}

// What the client still sends makes no difference.
asio::awaitable<void> say_goodbye(Stream& stream) {
  stream.next_layer().expires_after(kGoodbyeLimit);
  try {
    co_await stream.end_tls();
  } catch (const boost::system::system_error&) {
  }
}

// Lets the client read the answer before the connection goes: closing with bytes of its own unread
// would take the answer away.
asio::awaitable<void> close_gently(Stream& stream) {
  boost::system::error_code error;
  if (stream.is_tls()) co_await say_goodbye(stream);
  stream.next_layer().socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  std::string sink(64 << 10, '\0');
  stream.next_layer().expires_after(kLingerLimit);
  for (std::size_t bytes = 0; !error && bytes < kLingerBytesMax;) {
    bytes += co_await stream.next_layer().async_read_some(
        asio::buffer(sink), asio::redirect_error(asio::use_awaitable, error));
  }
}

}  // namespace

asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, const ServerOptions& options,
                                       const Server::Handler& handler, Traffic& traffic) {
  Stream stream{beast::tcp_stream(std::move(socket))};
  beast::flat_buffer buffer;
  try {
    stream.next_layer().socket().set_option(asio::ip::tcp::no_delay(true));
    bool go_on = co_await begin(stream, options, traffic);
    stream.next_layer().expires_after(options.header_limit);
    while (go_on && !traffic.draining) {
      go_on = co_await serve_request(stream, buffer, options, handler, traffic);
      stream.next_layer().expires_after(options.keep_alive_limit);
    }
    co_await close_gently(stream);
  } catch (const Error& failure) {
    if (failure.code() != ErrorCode::canceled) log::error("http: {}", failure.what());
  } catch (const boost::system::system_error&) {
    // The client left in the middle.
  }
}

}  // namespace cellar::http
