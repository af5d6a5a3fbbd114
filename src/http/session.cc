#include "http/session.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "async/event.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "http/head.h"
#include "http/piece_body.h"
#include "http/stream.h"
#include "http/web_socket.h"

namespace cellar::http {
namespace {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<PieceBody>;
using Status = beast::http::status;

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

// What is read of a request and not understood yet: its head, or what stands between the chunks of
// its body, for which the parser knows no limit of its own.
beast::flat_buffer buffer_for(const ServerOptions& options) {
  return beast::flat_buffer(options.header_bytes_max + kBodyReadBytes);
}

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

// How an answer begins, up to its fields; `reason` empty: the usual one.
std::string status_line(int status, std::string_view reason) {
  const auto usual = beast::http::obsolete_reason(static_cast<Status>(status));
  std::string line = "HTTP/1.1 " + std::to_string(status) + " ";
  line += reason.empty() ? std::string_view(usual.data(), usual.size()) : reason;
  return line += "\r\n";
}

void add_field(std::string& head, std::string_view name, std::string_view value) {
  ((head += name) += ": ") += value;
  head += "\r\n";
}

bool may_have_body(int status) noexcept { return status != 204 && status != 304; }

// What an answer of ours begins with; how it ends is added to it.
std::string begin_head(const Response& response, bool keep_alive) {
  std::string head = status_line(response.status, {});
  if (may_have_body(response.status)) add_field(head, "Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) add_field(head, name, value);
  if (!keep_alive) add_field(head, "Connection", "close");
  return head;
}

class BeastExchange : public Exchange {
 public:
  BeastExchange(Stream& stream, beast::flat_buffer& buffer, Parser& parser,
                const std::string& client, const ServerOptions& options, Traffic& traffic)
      : stream_(stream),
        buffer_(buffer),
        parser_(parser),
        client_(client),
        options_(options),
        traffic_(traffic),
        busy_(traffic.busy_count) {}
  ~BeastExchange() override { forget_body(); }
  BeastExchange(const BeastExchange&) = delete;
  BeastExchange& operator=(const BeastExchange&) = delete;

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
  std::string client_address() const override { return client_; }
  bool is_client_gone() const override {
    boost::system::error_code error;
    stream_.next_layer().socket().remote_endpoint(error);
    return error.failed();
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
    parser_.eager(true);
    buffer_.reserve(kBodyReadBytes);
    stream_.next_layer().expires_after(options_.body_limit);
    while (!parser_.is_done()) {
      boost::system::error_code error;
      co_await beast::http::async_read_some(stream_, buffer_, parser_,
                                            asio::redirect_error(asio::use_awaitable, error));
      if (error == beast::http::error::body_limit) throw_too_large(bytes_max);
      if (error) throw_unreadable(error);
      count_body(parser_.get().body().size());
    }
    co_return std::move(parser_.get().body());
  }

  void forget_body() noexcept override { traffic_.body_bytes -= std::exchange(body_bytes_, 0); }

  asio::awaitable<std::string> read_piece() override {
    co_await ask_for_body();
    parser_.eager(true);
    buffer_.reserve(kBodyReadBytes);
    while (!parser_.is_done() && parser_.get().body().empty()) {
      stream_.next_layer().expires_after(options_.body_limit);
      boost::system::error_code error;
      co_await beast::http::async_read_some(stream_, buffer_, parser_,
                                            asio::redirect_error(asio::use_awaitable, error));
      if (error) throw_unreadable(error);
    }
    std::string piece = std::move(parser_.get().body());
    parser_.get().body().clear();
    co_return piece;
  }

  asio::awaitable<void> respond(Response response) override {
    HeldAnswer held(traffic_, options_, response.body.size(), HeldAnswer::Of::whole);
    return send_whole(std::move(response), std::move(held));
  }

  asio::awaitable<void> send_whole(Response response, HeldAnswer /*held*/) {
    answered_ = true;
    // What is left of a body that nobody read would be taken for the next request.
    const bool keep_alive = !traffic_.draining && parser_.is_done() && parser_.get().keep_alive();
    std::string head = begin_head(response, keep_alive);
    const bool has_body = may_have_body(response.status);
    if (has_body) add_field(head, "Content-Length", std::to_string(response.body.size()));
    head += "\r\n";
    const bool is_head = parser_.get().method() == beast::http::verb::head;
    std::string body = has_body && !is_head ? std::move(response.body) : std::string();
    co_await stream_.write(std::move(head), std::move(body));
    finished_ = true;
  }

  asio::awaitable<void> start_stream(Response response) override {
    answered_ = true;
    busy_.reset();
    is_chunked_ = parser_.get().version() >= 11;
    // Not of one that drains: some clients take what is to close for whole when it breaks off.
    keeps_open_ = is_chunked_ && parser_.get().keep_alive();
    std::string head = begin_head(response, keeps_open_);
    if (is_chunked_) add_field(head, "Transfer-Encoding", "chunked");
    head += "\r\n";
    if (!is_chunked_) return stream_.write(std::move(head), std::move(response.body));
    if (response.body.empty()) return stream_.write(std::move(head));
    head += chunk_start(response.body.size());
    return stream_.write(std::move(head), std::move(response.body), kChunkEnd);
  }

  asio::awaitable<void> start_foreign(ForeignHead head) override {
    answered_ = true;
    busy_.reset();
    const bool is_new = parser_.get().version() >= 11;
    // What a status or a method has no body for ends with the head.
    const bool has_body = parser_.get().method() != beast::http::verb::head && head.status >= 200 &&
                          may_have_body(head.status);
    is_chunked_ = has_body && !head.length && is_new;
    const bool has_end = !has_body || head.length || is_chunked_;
    keeps_open_ = has_end && !traffic_.draining && parser_.is_done() && parser_.get().keep_alive();
    std::string text = status_line(head.status, head.reason);
    for (const auto& [name, value] : head.fields) add_field(text, name, value);
    if (head.length) add_field(text, "Content-Length", std::to_string(*head.length));
    if (is_chunked_) add_field(text, "Transfer-Encoding", "chunked");
    if (!keeps_open_) add_field(text, "Connection", "close");
    if (keeps_open_ && !is_new) add_field(text, "Connection", "keep-alive");
    text += "\r\n";
    return stream_.write(std::move(text));
  }

  asio::awaitable<std::unique_ptr<RawConnection>> upgrade(Fields fields) override;

  bool wants_web_socket() const override { return beast::websocket::is_upgrade(parser_.get()); }
  asio::awaitable<std::unique_ptr<WebSocket>> accept_web_socket(std::string protocol) override {
    answered_ = upgraded_ = true;
    busy_.reset();
    return http::accept_web_socket(stream_, parser_.get(), std::move(protocol),
                                   options_.write_limit);
  }

  asio::awaitable<void> send(std::string bytes) override {
    HeldAnswer held(traffic_, options_, bytes.size(), HeldAnswer::Of::stream);
    return send_piece(std::move(bytes), std::move(held));
  }

  asio::awaitable<void> send_piece(std::string bytes, HeldAnswer /*held*/) {
    if (!is_chunked_) {
      co_await stream_.write(std::move(bytes));
    } else {
      std::string start = chunk_start(bytes.size());
      co_await stream_.write(std::move(start), std::move(bytes), kChunkEnd);
    }
  }

  asio::awaitable<void> finish() override {
    std::string end = is_chunked_ ? chunk_of("") : "";
    co_await stream_.write(std::move(end));
    finished_ = keeps_open_;
  }

 private:
  [[noreturn]] static void throw_too_large(std::size_t bytes_max) {
    throw Error(ErrorCode::too_large, "body_too_large",
                "the body is larger than " + std::to_string(bytes_max) + " bytes");
  }

  // Its body is `bytes` long by now. Throws Error where that is too much beside all others; a small
  // one is always taken, so that who fills the room with large ones keeps nobody from the rest.
  void count_body(std::size_t bytes) {
    traffic_.body_bytes += bytes - body_bytes_;
    body_bytes_ = bytes;
    if (bytes <= kSmallBodyBytes || traffic_.body_bytes <= options_.bodies_bytes_max) return;
    std::string().swap(parser_.get().body());  // The others go on at once.
    forget_body();
    throw Error(ErrorCode::unavailable, "bodies_full",
                "the bodies of other requests under way take the " +
                    std::to_string(options_.bodies_bytes_max >> 20) +
                    " MiB that there are for them",
                "try again soon");
  }

  [[noreturn]] void throw_unreadable(const boost::system::error_code& error) const {
    if (error == beast::http::error::buffer_overflow) {
      throw Error(ErrorCode::invalid_argument, "chunk_too_large",
                  "the body has more than " + std::to_string(buffer_.max_size()) +
                      " bytes between two chunks, or behind the last",
                  "send chunks without extensions and trailers");
    }
    throw Error(ErrorCode::invalid_argument, "body_incomplete",
                "the body could not be read: " + error.message());
  }

  asio::awaitable<void> ask_for_body() {
    const std::string* expect = request_.header("expect");
    const bool waits = expect != nullptr && to_lower_ascii(*expect) == "100-continue";
    if (waits && !std::exchange(asked_for_body_, true) && !parser_.is_done()) {
      co_await send_continue();
    }
  }

  asio::awaitable<void> send_continue() { return stream_.write("HTTP/1.1 100 Continue\r\n\r\n"); }

  Stream& stream_;
  beast::flat_buffer& buffer_;
  Parser& parser_;
  const std::string& client_;
  const ServerOptions& options_;
  Traffic& traffic_;
  // A stream may have no end: the server does not wait for it when it stops.
  std::optional<Counted> busy_;
  Request request_;
  std::size_t body_bytes_ = 0;  // of its body, as `traffic_` counts them
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
  BeastConnection(Stream& stream, beast::flat_buffer& buffer) : stream_(stream), buffer_(buffer) {}

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
    return stream_.write(std::move(bytes));
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
};

asio::awaitable<std::unique_ptr<RawConnection>> BeastExchange::upgrade(Fields fields) {
  answered_ = upgraded_ = true;
  busy_.reset();
  std::string text = status_line(101, {});
  for (const auto& [name, value] : fields) add_field(text, name, value);
  text += "\r\n";
  co_await stream_.write(std::move(text));
  co_return std::make_unique<BeastConnection>(stream_, buffer_);
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

// A handler that runs, and what there is to know of its client meanwhile.
struct Handling {
  explicit Handling(const asio::any_io_executor& on) : changed(on) {}

  asio::cancellation_signal cancel;
  asio::cancellation_signal end_watch;
  async::Event changed;  // one of these did
  bool has_ended = false;
  bool is_watched = false;  // somebody waits for the client to send something, or to leave
  bool has_news = false;    // it did
  std::exception_ptr failure;
};

// The kernel tells when there is something to read, which the end is, too.
void watch(const std::shared_ptr<Handling>& handling, Stream& stream) {
  handling->is_watched = true;
  auto seen = [handling](const boost::system::error_code&) {
    handling->is_watched = false;
    handling->has_news = true;
    handling->changed.set();
  };
  stream.next_layer().socket().async_wait(
      asio::ip::tcp::socket::wait_read,
      asio::bind_cancellation_slot(handling->end_watch.slot(), std::move(seen)));
}

// Until the handler has ended; true where the client went away first.
asio::awaitable<bool> await_end_or_leave(const std::shared_ptr<Handling>& handling, Stream& stream,
                                         const BeastExchange& exchange) {
  // Most handlers end within a millisecond and need no watch.
  const std::chrono::milliseconds kUnwatched(20);
  // Of a client that has sent more already than its request: that there is something says nothing.
  const std::chrono::milliseconds kLookAgain(100);
  std::chrono::milliseconds pause = kUnwatched;
  while (!handling->has_ended) {
    handling->changed.reset();
    if (pause.count() > 0) {
      co_await handling->changed.wait_for(pause);
      pause = {};
    } else if (exchange.is_upgraded() || handling->is_watched) {
      co_await handling->changed.wait();
    } else if (std::exchange(handling->has_news, false)) {
      if (has_left(stream)) co_return true;
      pause = kLookAgain;
    } else {
      watch(handling, stream);
    }
  }
  co_return false;
}

// Runs the handler until it ends, canceling it when the client goes away.
asio::awaitable<void> run_handler(asio::awaitable<void> work, Stream& stream,
                                  BeastExchange& exchange) {
  const auto executor = co_await asio::this_coro::executor;
  // Shared with completions, which may come after a cancellation of this coroutine.
  const auto handling = std::make_shared<Handling>(executor);
  auto done = [handling](const std::exception_ptr& failure) {
    handling->failure = failure;
    handling->has_ended = true;
    handling->changed.set();
  };
  asio::co_spawn(executor, std::move(work),
                 asio::bind_cancellation_slot(handling->cancel.slot(), std::move(done)));
  bool stop = false;
  try {
    stop = co_await await_end_or_leave(handling, stream, exchange);
  } catch (const Error&) {
    stop = true;  // The server closes; the handler's frame must still end first.
  }
  if (stop) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const std::chrono::milliseconds kAskAgain(100);  // What is asked before it waits is lost.
  while (!handling->has_ended) {
    handling->changed.reset();
    handling->cancel.emit(asio::cancellation_type::terminal);
    if (!handling->has_ended) co_await handling->changed.wait_for(kAskAgain);
  }
  handling->end_watch.emit(asio::cancellation_type::terminal);
  if (!handling->failure) co_return;
  if (stop || exchange.has_answered() || !is_cancellation(handling->failure)) {
    std::rethrow_exception(handling->failure);
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
  const Handshake handshake(traffic.handshakes, stream.next_layer().socket());
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
                                    const std::string& client, const ServerOptions& options,
                                    const Server::Handler& handler, Traffic& traffic) {
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser.body_limit(kNoLimit);
  boost::system::error_code error;
  co_await beast::http::async_read_header(stream, buffer, parser,
                                          asio::redirect_error(asio::use_awaitable, error));
  BeastExchange exchange(stream, buffer, parser, client, options, traffic);
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

asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, std::string client,
                                       const ServerOptions& options, const Server::Handler& handler,
                                       Traffic& traffic) {
  Stream stream(std::move(socket), options.write_limit, options.write_bytes_per_s);
  beast::flat_buffer buffer = buffer_for(options);
  try {
    stream.next_layer().socket().set_option(asio::ip::tcp::no_delay(true));
    stream.next_layer().socket().non_blocking(true);  // What is not taken at once is waited for.
    bool go_on = co_await begin(stream, options, traffic);
    stream.next_layer().expires_after(options.header_limit);
    while (go_on && !traffic.draining) {
      go_on = co_await serve_request(stream, buffer, client, options, handler, traffic);
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
