#include "net/http_call.h"

#include <algorithm>
#include <boost/system/system_error.hpp>

#include "base/error.h"
#include "base/text.h"
#include "net/http_head.h"
#include "net/request_body.h"
#include "net/stream.h"

namespace cellar::net {
namespace {

constexpr std::size_t kCallPiece = 64 << 10;
constexpr int kAnswerHeadPiecesMax = 256;
constexpr std::size_t kAnswerHeadMax = 64 << 10;
constexpr int kInterimAnswersMax = 16;

}  // namespace

struct HttpCall::Body {
  bool ends_with_connection = false;
  RequestBody bytes = {};
  bool has_ended() const { return !ends_with_connection && bytes.has_ended(); }
};

HttpCall::HttpCall(asio::any_io_executor executor, Resolver& resolver, TlsClient& tls,
                   HttpCallLimits limits)
    : executor_(std::move(executor)), resolver_(resolver), tls_(tls), limits_(limits) {}

HttpCall::~HttpCall() = default;

void HttpCall::abort() noexcept {
  is_aborted_ = true;
  if (channel_) channel_->reset();
}

void HttpCall::end(std::string why) noexcept {
  if (late_.empty()) late_ = std::move(why);
  if (channel_) channel_->reset();
}

void HttpCall::require_going() const {
  if (is_aborted_) throw Error(ErrorCode::canceled, "the call was given up");
  if (!late_.empty()) throw Error(ErrorCode::timed_out, "http_timeout", server_ + ": " + late_);
}

void HttpCall::fail(const std::string& what) const {
  require_going();
  throw Error(ErrorCode::unavailable, "http_failed", server_ + ": " + what);
}

std::chrono::milliseconds HttpCall::left() const {
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
      end_at_ - std::chrono::steady_clock::now());
  return std::max(rest, std::chrono::milliseconds(1));
}

asio::awaitable<void> HttpCall::post(const HttpUrl& url, std::string path, Headers headers,
                                     std::string body) {
  server_ = url.authority;
  std::string text = "POST " + url.base + path + " HTTP/1.1\r\nHost: " + url.authority + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  text += "Accept-Encoding: identity\r\nConnection: close\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body;
  end_at_ = std::chrono::steady_clock::now() + limits_.total;
  const auto say = [](std::chrono::milliseconds limit) {
    return " within " + std::to_string(limit.count()) + " ms";
  };
  total_.emplace(executor_, limits_.total,
                 [this, say] { end("no end of the answer" + say(limits_.total)); });
  first_byte_.emplace(executor_, limits_.first_byte,
                      [this, say] { end("no answer" + say(limits_.first_byte)); });
  co_await connect(url);
  co_await exchange(std::move(text));
}

asio::awaitable<void> HttpCall::connect(const HttpUrl& url) {
  std::vector<asio::ip::address> addresses;
  boost::system::error_code error;
  const auto literal = asio::ip::make_address(url.host, error);
  if (error) {
    addresses = co_await resolver_.resolve(url.host);
  } else {
    addresses.push_back(literal);
  }
  require_going();
  if (addresses.empty()) fail("the name is not known");
  std::vector<Tcp::endpoint> endpoints;
  for (const asio::ip::address& address : addresses) endpoints.emplace_back(address, url.port);
  const std::chrono::milliseconds limit =
      std::min<std::chrono::milliseconds>(kConnectLimit, left());
  auto socket = co_await dial(std::move(endpoints), limit);
  require_going();
  if (!socket) fail("no connection");
  socket->set_option(Tcp::no_delay(true));
  if (!url.by_tls) {
    channel_ = plain_channel(std::move(*socket));
    co_return;
  }
  std::string failure;
  try {
    const std::chrono::milliseconds tls_limit =
        std::min<std::chrono::milliseconds>(kConnectLimit, left());
    auto secured = co_await tls_.connect(std::move(*socket), url.host, tls_limit);
    if (auto* channel = std::get_if<std::unique_ptr<Channel>>(&secured)) {
      channel_ = std::move(*channel);
    } else {
      failure = "its certificate is not trusted: " + std::get<TlsClient::Distrust>(secured).why;
    }
  } catch (const boost::system::system_error& system) {
    if (system.code() == asio::error::operation_aborted) throw;
    failure = std::string("TLS: ") + system.what();
  }
  require_going();
  if (!channel_) fail(failure);
}

asio::awaitable<void> HttpCall::exchange(std::string text) {
  std::string failure;
  try {
    co_await channel_->write(text);
    is_sent_ = true;
  } catch (const boost::system::system_error& error) {
    failure = error.code().message();
  }
  // A server that takes no more may have said why.
  try {
    co_await read_head();
  } catch (const Error& error) {
    if (failure.empty() || error.code() != ErrorCode::unavailable) throw;
    fail(failure);
  }
  first_byte_.reset();
}

// How many bytes more there are in `received_`; 0 at the end of the connection.
asio::awaitable<std::size_t> HttpCall::receive() {
  std::string piece(kCallPiece, '\0');
  std::size_t size = 0;
  std::string failure;
  try {
    size = co_await channel_->read(piece);
  } catch (const boost::system::system_error& error) {
    const bool is_ours = is_aborted_ || !late_.empty();
    if (error.code() == asio::error::operation_aborted && !is_ours) throw;
    failure = error.code().message();
  }
  if (!failure.empty()) fail("the connection broke: " + failure);
  require_going();
  answer_bytes_ += size;
  if (answer_bytes_ > limits_.answer_bytes) {
    throw Error(
        ErrorCode::too_large, "http_answer_too_large",
        server_ + ": an answer of more than " + std::to_string(limits_.answer_bytes) + " bytes");
  }
  received_.append(piece, 0, size);
  co_return size;
}

asio::awaitable<void> HttpCall::read_head() {
  int interim_count = 0;
  for (int pieces = 0; pieces < kAnswerHeadPiecesMax; ++pieces) {
    const std::size_t size = http_head_size(received_);
    if (size == 0) {
      if (received_.size() > kAnswerHeadMax) break;
      const std::size_t more = co_await receive();
      if (more == 0) fail("it ended the connection without an answer");
      continue;
    }
    const std::string head = received_.substr(0, size);
    const auto answer = read_http_answer(head);
    if (!answer) break;
    received_.erase(0, size);
    if (answer->status < 200) {
      if (answer->status == 101 || ++interim_count > kInterimAnswersMax) break;
      continue;
    }
    const BodyLength length = read_body_length(answer->headers, answer->version);
    if (length.is_ambiguous) break;
    status_ = answer->status;
    body_ = std::make_unique<Body>();
    body_->ends_with_connection = !length.is_said;
    body_->bytes = length.body;
    for (const auto& [name, value] : answer->headers) {
      answer_headers_.emplace_back(to_lower_ascii(name), std::string(value));
    }
    if (status_ == 204 || status_ == 304) *body_ = {};
    co_return;
  }
  fail("its answer is no HTTP/1.1");
}

std::string HttpCall::header(std::string_view name) const {
  for (const auto& [known, value] : answer_headers_) {
    if (known == name) return value;
  }
  return {};
}

asio::awaitable<std::string> HttpCall::read() {
  std::string content;
  while (content.empty() && !body_->has_ended()) {
    if (received_.empty()) {
      const std::size_t more = co_await receive();
      if (more == 0 && body_->ends_with_connection) {
        *body_ = {};
        break;
      }
      if (more == 0) fail("the connection broke within its answer");
    }
    if (body_->ends_with_connection) {
      content = std::exchange(received_, {});
      continue;
    }
    body_->bytes.take(received_, &content);
    received_.clear();
    if (body_->bytes.is_malformed()) fail("its answer has broken chunks");
  }
  co_return content;
}

}  // namespace cellar::net
