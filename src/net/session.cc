#include "net/session.h"

#include <fmt/core.h>

#include <array>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "async/event.h"
#include "async/sleep.h"
#include "base/text.h"
#include "net/http_head.h"
#include "net/placeholder.h"
#include "net/watchdog.h"

namespace cellar::net {
namespace {

constexpr std::size_t kSessionPiece = 16 << 10;  // as much as TLS gives at once
constexpr std::size_t kHeadPiece = 4096;
constexpr int kPiecesOfHeadMax = 256;  // A head is looked at anew with each piece.
constexpr int kInterimMax = 16;

// What cannot be answered any more: both connections are cut.
[[noreturn]] void cut() { throw boost::system::system_error(asio::error::connection_aborted); }

// One client and the servers that its requests go to. Shared with send_body(), as either may end
// first.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::unique_ptr<Channel> client, Destination own, SessionHooks hooks,
          const asio::any_io_executor& executor)
      : client_(std::move(client)),
        own_(std::move(own)),
        hooks_(std::move(hooks)),
        requests_left_(hooks_.requests_max),
        executor_(executor),
        idle_(executor, hooks_.idle_limit, [this] { reset(); }),
        is_let_go_(executor) {
    is_let_go_.set();
  }

  asio::awaitable<void> run() {
    std::exception_ptr failure;
    try {
      while (co_await serve_one()) {
      }
      co_await client_->end();
    } catch (...) {
      failure = std::current_exception();
    }
    reset();  // send_body() may wait for either.
    if (failure) std::rethrow_exception(failure);
  }

 private:
  void reset() {
    client_->reset();
    if (server_) server_->reset();
  }

  // ---- bytes ----

  asio::awaitable<void> send(Channel& to, std::string_view bytes, Way way) {
    if (bytes.empty()) co_return;
    co_await to.write(bytes);
    const auto wait = hooks_.meter.count(way, bytes.size(), std::chrono::steady_clock::now());
    if (hooks_.meter.is_spent()) cut();
    idle_.touch();
    if (wait.count() > 0) co_await async::sleep_for(wait);
    idle_.touch();
  }

  // The size of the head that `bytes` begin with, once all of it is there; 0 where there will be
  // none.
  asio::awaitable<std::size_t> read_whole_head(Channel& from, std::string& bytes, Way way) {
    std::array<char, kHeadPiece> piece;
    for (int count = 0; count < kPiecesOfHeadMax; ++count) {
      const std::size_t size = http_head_size(bytes);
      if (size > 0) co_return size;
      const bool may_become =
          way == Way::up ? may_become_http_head(bytes) : bytes.size() < kHeadSizeMax;
      if (!may_become) co_return 0;
      const std::size_t more = co_await from.read(piece);
      if (more == 0) co_return 0;
      bytes.append(piece.data(), more);
    }
    co_return 0;
  }

  // ---- requests ----

  // Whether another request may follow.
  asio::awaitable<bool> serve_one() {
    const std::size_t size = co_await read_whole_head(*client_, from_client_, Way::up);
    if (size == 0 && from_client_.empty()) co_return false;
    auto read = read_request_head(std::string_view(from_client_).substr(0, size), own_);
    from_client_.erase(0, size);
    if (const auto* bad = std::get_if<BadRequest>(&read)) co_return co_await answer_bad(bad->text);
    auto head = std::get<RequestHead>(std::move(read));
    if (--requests_left_ <= 0) head.keeps_alive = false;
    const std::shared_ptr<const Rules> rules = hooks_.rules();
    const Rules::Answer fits = rules->first(own_.name, own_.port, head.method, head.target);
    if (fits.is_path_ambiguous) {
      co_return co_await answer_bad(
          "The path can be read in more than one way, and rules look at it.");
    }
    if (fits.rule != nullptr && fits.rule->text.response) {
      co_return co_await answer_by_rule(*fits.rule, head);
    }
    const Destination to = apply(fits.rule, head);
    const std::shared_ptr<const Injection> injection = hooks_.injection();
    const bool keeps = head.keeps_alive;
    if (auto refused = injection->put_in(head, to)) co_return co_await refuse(*std::move(refused));
    const Leave leave =
        fits.rule != nullptr && fits.rule->forward ? Leave::of_operator : Leave::of_policy;
    const bool is_open = co_await open_server(to, leave);
    if (!is_open) co_return false;
    echo_ = EchoScan(injection->values_for(to));
    co_return co_await exchange(std::move(head), keeps);
  }

  // What the rule says of the request that goes out.
  Destination apply(const Rules::Rule* rule, RequestHead& head) const {
    if (rule == nullptr) return own_;
    for (const auto& [name, value] : rule->text.headers) head.set(name, value);
    if (!rule->forward) return own_;
    head.host = rule->forward->authority;
    if (head.target != "*") head.target = rule->forward->base + head.target;
    return rule->forward->to;
  }

  // Whether server_ is the server of `to`; where not, the client was told.
  asio::awaitable<bool> open_server(Destination to, Leave leave) {
    if (leave == Leave::of_policy) {
      std::optional<Refusal> refusal = hooks_.refusal(to);
      if (refusal) {
        co_await refuse(*std::move(refusal));
        co_return false;
      }
    }
    const bool is_kept = server_ && server_of_ == to && server_leave_ == leave &&
                         from_server_.empty() && server_->is_quiet();
    if (is_kept) co_return true;
    if (server_) server_->reset();
    server_.reset();
    from_server_.clear();
    Opened opened = co_await hooks_.open(to, leave);
    if (auto* channel = std::get_if<std::unique_ptr<Channel>>(&opened)) {
      server_ = std::move(*channel);
      server_of_ = std::move(to);
      server_leave_ = leave;
      co_return true;
    }
    if (auto* refusal = std::get_if<Refusal>(&opened)) {
      co_await refuse(std::move(*refusal));
      co_return false;
    }
    co_await last_words(unreachable_response(to.name));
    co_return false;
  }

  asio::awaitable<bool> exchange(RequestHead head, bool client_keeps) {
    head.keeps_alive = head.version == "HTTP/1.1";  // The server is ours to keep.
    client_keeps_ = client_keeps;
    is_sent_ = head.body.has_ended();
    const std::string text = head.text();
    bool is_lost = false;
    try {
      co_await send(*server_, text, Way::up);
    } catch (const boost::system::system_error&) {
      is_lost = true;
    }
    if (is_lost) co_return co_await answer_lost();
    if (!is_sent_) hooks_.spawn(send_body(shared_from_this(), head.body));
    co_return co_await take_answer(std::move(head));
  }

  static asio::awaitable<void> send_body(std::shared_ptr<Session> session, RequestBody body) {
    bool is_readable = true;
    try {
      std::string piece(kSessionPiece, '\0');
      for (std::string& bytes = session->from_client_;;) {
        const std::size_t size = body.take(bytes);
        if (body.is_malformed()) break;
        const std::string passes = bytes.substr(0, size);
        bytes.erase(0, size);
        co_await session->send(*session->server_, passes, Way::up);
        session->is_sent_ = body.has_ended();
        if (session->is_sent_) co_return;
        is_readable = false;
        const std::size_t more = co_await session->client_->read(piece);
        is_readable = more > 0;
        if (!is_readable) break;
        bytes.assign(piece, 0, more);
      }
    } catch (const boost::system::system_error&) {
      // A server that takes no more may have answered: that is still passed on.
      if (is_readable) co_return;
    }
    // The server must not take it for whole.
    session->server_->reset();
  }

  // ---- answers ----

  // The size of the head of the answer; 0 where the server gave none.
  asio::awaitable<std::size_t> read_answer_head() {
    try {
      co_return co_await read_whole_head(*server_, from_server_, Way::down);
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      co_return 0;
    }
  }

  asio::awaitable<bool> take_answer(RequestHead request) {
    for (int count = 0; count <= kInterimMax; ++count) {
      const std::size_t size = co_await read_answer_head();
      const std::string head = from_server_.substr(0, size);
      from_server_.erase(0, size);
      const auto answer = read_http_answer(head);
      const auto kept = answer ? end_to_end(answer->headers) : std::nullopt;
      if (!kept) co_return co_await answer_lost();
      if (echo_.is_in(head)) co_return co_await refuse_echo();
      const bool upgrades = answer->status == 101;
      if (upgrades && request.upgrade.empty()) co_return co_await answer_lost();
      if (answer->status >= 200 || upgrades) {
        co_return co_await pass_answer(request, *answer, *kept);
      }
      if (request.version == "HTTP/1.1") co_await send(*client_, head, Way::down);
    }
    co_return co_await answer_lost();
  }

  asio::awaitable<bool> pass_answer(const RequestHead& request, const HttpAnswer& answer,
                                    const HeadLines& kept) {
    const bool upgrades = answer.status == 101;
    BodyLength length = read_body_length(answer.headers, answer.version);
    if (length.is_ambiguous) co_return co_await answer_lost();
    const bool has_none =
        request.method == "HEAD" || answer.status == 204 || answer.status == 304 || upgrades;
    if (has_none) length = {.is_said = true};
    const bool keeps = client_keeps_ && is_sent_ && length.is_said && !upgrades;
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", answer.status, answer.reason);
    for (const auto& [name, value] : kept) head += fmt::format("{}: {}\r\n", name, value);
    if (upgrades) head += fmt::format("Connection: Upgrade\r\nUpgrade: {}\r\n", request.upgrade);
    if (!upgrades && !keeps) head += "Connection: close\r\n";
    const bool server_keeps = answer.version == "HTTP/1.1" && !says_close(answer.headers);
    co_await send(*client_, head + "\r\n", Way::down);
    if (upgrades) {
      hooks_.spawn(pass_up(shared_from_this()));
      length = {};
    }
    const bool is_whole = co_await pass_body(length);
    if (!is_whole) co_return false;
    if (keeps && !server_keeps) {
      server_->reset();
      server_.reset();
    }
    co_return keeps;
  }

  static bool says_close(const HeadLines& headers) {
    for (const auto& [name, value] : headers) {
      if (to_lower_ascii(name) == "connection" && to_lower_ascii(value) == "close") return true;
    }
    return false;
  }

  // False where it was cut off.
  asio::awaitable<bool> pass_body(BodyLength length) {
    std::string piece(kSessionPiece, '\0');
    for (;;) {
      const std::size_t size =
          length.is_said ? length.body.take(from_server_) : from_server_.size();
      if (length.body.is_malformed()) cut();
      const bool had_some = echo_.held_bytes() > 0;
      auto passes = echo_.take(std::string_view(from_server_).substr(0, size));
      if (!had_some || size >= echo_.held_bytes()) held_since_ = std::chrono::steady_clock::now();
      from_server_.erase(0, size);
      if (!passes) {
        hooks_.tell(echo_refusal());
        cut();
      }
      const bool ends = length.is_said && length.body.has_ended();
      if (ends) *passes += echo_.let_go();
      co_await send(*client_, *passes, Way::down);
      if (ends) co_return true;
      const std::size_t more =
          length.is_counted ? co_await server_->read(piece) : co_await read_stream(piece);
      if (more == 0 && length.is_said) cut();
      if (more == 0) {
        const std::string rest = echo_.let_go();
        co_await send(*client_, rest, Way::down);
        co_return true;
      }
      from_server_.append(piece, 0, more);
    }
  }

  // The next of an answer that may be a stream: its reader has what came of it soon, even where
  // nothing comes behind it.
  asio::awaitable<std::size_t> read_stream(std::string& piece) {
    std::optional<Watchdog> patience;
    if (echo_.held_bytes() > 0) {
      const auto waits = held_since_ + hooks_.held_limit - std::chrono::steady_clock::now();
      patience.emplace(executor_, std::chrono::ceil<std::chrono::milliseconds>(waits), [this] {
        is_let_go_.reset();
        hooks_.spawn(let_go(shared_from_this()));
      });
    }
    const std::size_t more = co_await server_->read(piece);
    patience.reset();
    co_await is_let_go_.wait();  // One writes at a time.
    co_return more;
  }

  static asio::awaitable<void> let_go(std::shared_ptr<Session> session) {
    const std::string held = session->echo_.let_go();
    try {
      co_await session->send(*session->client_, held, Way::down);
    } catch (const boost::system::system_error&) {
      session->reset();
    }
    session->is_let_go_.set();
  }

  // After an upgrade: what the client sends, as it is.
  static asio::awaitable<void> pass_up(std::shared_ptr<Session> session) {
    try {
      std::string piece(kSessionPiece, '\0');
      std::string bytes = std::move(session->from_client_);
      for (;;) {
        co_await session->send(*session->server_, bytes, Way::up);
        const std::size_t more = co_await session->client_->read(piece);
        if (more == 0) break;
        bytes.assign(piece, 0, more);
      }
      co_await session->server_->end();
    } catch (const boost::system::system_error&) {
    }
    session->reset();
  }

  // ---- what is not sent ----

  asio::awaitable<void> last_words(std::string text) { co_await send(*client_, text, Way::down); }

  asio::awaitable<bool> answer_bad(std::string text) {
    hooks_.tell({own_.name, own_.port, Why::malformed});
    co_await last_words(bad_request_response(text));
    co_return false;
  }

  asio::awaitable<bool> answer_lost() {
    ++hooks_.meter.usage().failures;
    co_await last_words(no_answer_response(own_.name));
    co_return false;
  }

  asio::awaitable<bool> refuse(Refusal refusal) {
    hooks_.tell(refusal);
    co_await last_words(refusal_response(refusal));
    co_return false;
  }

  Refusal echo_refusal() const { return {server_of_.name, server_of_.port, Why::secret_echo}; }
  asio::awaitable<bool> refuse_echo() { co_return co_await refuse(echo_refusal()); }

  asio::awaitable<bool> answer_by_rule(const Rules::Rule& rule, const RequestHead& request) {
    const RuleText::Response& response = *rule.text.response;
    if (response.status >= 400) hooks_.tell({own_.name, own_.port, Why::rule, rule.name()});
    const bool keeps = request.keeps_alive && request.body.has_ended();
    const bool has_body = response.status != 204 && response.status != 304;
    std::string text = fmt::format("HTTP/1.1 {} By rule\r\n", response.status);
    for (const auto& [name, value] : response.headers) {
      text += fmt::format("{}: {}\r\n", name, value);
    }
    if (has_body) text += fmt::format("Content-Length: {}\r\n", response.body.size());
    if (!keeps) text += "Connection: close\r\n";
    text += "\r\n";
    if (has_body && request.method != "HEAD") text += response.body;
    co_await send(*client_, text, Way::down);
    co_return keeps;
  }

  std::unique_ptr<Channel> client_;
  std::unique_ptr<Channel> server_;  // of the last request, where it may be used again
  Destination own_;
  Destination server_of_;
  Leave server_leave_ = Leave::of_policy;
  SessionHooks hooks_;
  int requests_left_;
  asio::any_io_executor executor_;
  Watchdog idle_;
  std::string from_client_;  // read, and not used yet
  std::string from_server_;
  EchoScan echo_{{}};
  std::chrono::steady_clock::time_point held_since_;  // the first byte that echo_ keeps back
  async::Event is_let_go_;                            // not set while let_go() is at work
  bool client_keeps_ = false;
  bool is_sent_ = false;  // the body of the request
};

}  // namespace

asio::awaitable<void> serve_requests(std::unique_ptr<Channel> client, Destination own,
                                     SessionHooks hooks) {
  const auto executor = co_await asio::this_coro::executor;
  // Shared: see Session.
  const auto session =
      std::make_shared<Session>(std::move(client), std::move(own), std::move(hooks), executor);
  co_await session->run();
}

}  // namespace cellar::net
