#include "llm/models.h"

#include <algorithm>

#include "base/error.h"
#include "base/event_stream.h"
#include "base/text.h"
#include "json/json.h"
#include "llm/retry.h"

namespace cellar::llm {
namespace {

constexpr std::size_t kEventBytesMax = 4 << 20;
constexpr std::size_t kErrorBodyMax = 64 << 10;
constexpr std::size_t kErrorShown = 2000;
constexpr std::size_t kParsedAtOnce = 64 << 10;  // more goes to the pool
constexpr std::chrono::milliseconds kStreamFirstByte{std::chrono::minutes(2)};

Failure failure_of(const Error& error) {
  return {
      .message = error.what(),
      .code = error.reason(),
      .is_passing = error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timed_out};
}

Failure bad_answer(const Provider& provider, const std::string& why) {
  return {.message = provider.name + ": " + why, .code = "llm_bad_answer", .is_passing = true};
}

// One character or another, none cut in two.
std::string shortened(std::string text) {
  if (text.size() <= kErrorShown) return text;
  return text.substr(0, utf8_floor(text, kErrorShown)) + "…";
}

std::size_t reply_bytes(const Reply& reply) {
  std::size_t bytes = reply.content ? reply.content->size() : 0;
  for (const ToolCall& call : reply.tool_calls) bytes += call.name.size() + call.arguments.size();
  return bytes;
}

// As it was told, or as it is likely.
Usage usage_of(const Prepared& prepared, const Reply& reply) {
  const Usage likely = estimate(prepared.body.size(), reply_bytes(reply));
  if (!reply.usage) return likely;
  Usage usage = *reply.usage;
  if (usage.total() == 0) return likely;
  return usage;
}

// Of an answer that broke off: what had come costs, too.
Usage usage_of_part(const Prepared& prepared, const Reply& reply) {
  Usage usage = estimate(prepared.body.size(), reply_bytes(reply));
  if (!reply.usage) return usage;
  usage.input_tokens = std::max(usage.input_tokens, reply.usage->input_tokens);
  if (reply.usage->input_tokens > 0) usage.input_tokens = reply.usage->input_tokens;
  usage.output_tokens = std::max(usage.output_tokens, reply.usage->output_tokens);
  return usage;
}

void finish(const Prepared& prepared, Attempt& attempt) {
  Reply& reply = *attempt.reply;
  if (reply.model.empty()) reply.model = prepared.choice.model;
  attempt.usage = usage_of(prepared, reply);
}

// Whether the provider has the request, and may work on it with nobody left to hear the answer:
// that costs what was sent.
bool is_left_working(const Error& error, const net::HttpCall& http) {
  const bool is_given_up =
      error.code() == ErrorCode::timed_out || error.code() == ErrorCode::canceled;
  const bool is_refused = http.status() != 0 && http.status() != 200;
  return is_given_up && http.is_sent() && !is_refused;
}

// What an answer costs that nobody heard: as much as it may have been, where that was said.
Usage usage_unheard(const Prepared& prepared) {
  Usage usage = estimate(prepared.body.size(), 0);
  const ChatRequest& request = prepared.request;
  if (!request.streams && request.max_tokens) {
    usage.output_tokens = static_cast<std::uint64_t>(*request.max_tokens);
  }
  return usage;
}

// Counts down however the coroutine ends.
struct Open {
  explicit Open(std::uint64_t& count) : count_(count) { ++count_; }
  ~Open() { --count_; }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  std::uint64_t& count_;
};

}  // namespace

std::string without_key(std::string text, const std::string& key) {
  constexpr std::string_view kShown = "[key]";
  for (std::size_t at = key.empty() ? text.npos : text.find(key); at != text.npos;
       at = text.find(key, at + kShown.size())) {
    text.replace(at, key.size(), kShown);
  }
  return text;
}

Models::Models(asio::any_io_executor executor, async::Pool& pool, net::Resolver& resolver,
               net::TlsClient& tls, Settings settings)
    : executor_(std::move(executor)),
      pool_(pool),
      resolver_(resolver),
      tls_(tls),
      settings_(std::move(settings)) {
  for (const Provider& provider : settings_.providers) measures_[provider.name];
}

Prepared Models::prepare(const std::string& text) const {
  if (text.size() > kRequestBytesMax) {
    throw Error(ErrorCode::too_large, "llm_request_too_large",
                "ctx.llm.chat: the request takes " + std::to_string(text.size()) +
                    " bytes as JSON, at most " + std::to_string(kRequestBytesMax),
                "leave older messages out");
  }
  Prepared prepared;
  prepared.request = read_chat(json::parse(text));
  prepared.choice = choose(settings_, prepared.request.provider, prepared.request.model);
  prepared.body =
      dialect_of(prepared.choice.provider->kind).body(prepared.request, prepared.choice.model);
  return prepared;
}

asio::awaitable<Attempt> Models::ask(std::shared_ptr<const Prepared> prepared,
                                     std::shared_ptr<Asking> asking,
                                     std::chrono::milliseconds limit, OnText on_text) {
  const ChatRequest& request = prepared->request;
  const Provider& provider = *prepared->choice.provider;
  const Open open(open_count_);
  net::HttpCallLimits limits{.total = std::min(request.attempt_limit, limit)};
  const auto usual = request.streams ? std::min(kStreamFirstByte, limits.total) : limits.total;
  limits.first_byte = std::min(request.first_byte_limit.value_or(usual), limits.total);
  asking->http_ = std::make_unique<net::HttpCall>(executor_, resolver_, tls_, limits);
  const auto began = std::chrono::steady_clock::now();
  Attempt attempt;
  try {
    if (asking->is_ended()) throw Error(ErrorCode::canceled, "the call was given up");
    attempt = co_await exchange(*prepared, *asking->http_, on_text);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled && !asking->is_ended()) throw;
    attempt.failure = failure_of(error);
    if (is_left_working(error, *asking->http_)) attempt.usage = usage_unheard(*prepared);
  }
  asking->http_.reset();  // Its connection and its timers.
  ProviderMeasures& measures = measures_[provider.name];
  ++(attempt.reply ? measures.replies : measures.failures);
  if (attempt.reply) measures.times.observe(std::chrono::steady_clock::now() - began);
  if (attempt.usage) {
    measures.input_tokens += attempt.usage->input_tokens;
    measures.output_tokens += attempt.usage->output_tokens;
  }
  attempt.failure.message = shortened(without_key(attempt.failure.message, provider.key));
  co_return attempt;
}

asio::awaitable<Attempt> Models::exchange(const Prepared& prepared, net::HttpCall& http,
                                          const OnText& on_text) {
  const Provider& provider = *prepared.choice.provider;
  const Dialect& dialect = dialect_of(provider.kind);
  std::string path = dialect.path();
  Dialect::Headers headers = dialect.headers(provider.key);
  headers.emplace_back("Accept",
                       prepared.request.streams ? "text/event-stream" : "application/json");
  std::string body = prepared.body;
  co_await http.post(provider.url, std::move(path), std::move(headers), std::move(body));
  if (http.status() != 200) co_return co_await take_refusal(prepared, http);
  if (prepared.request.streams) co_return co_await take_stream(prepared, http, on_text);
  co_return co_await take_whole(prepared, http);
}

asio::awaitable<Attempt> Models::take_refusal(const Prepared& prepared, net::HttpCall& http) {
  const Provider& provider = *prepared.choice.provider;
  std::string body;
  try {
    for (std::string piece = co_await http.read(); !piece.empty() && body.size() < kErrorBodyMax;
         piece = co_await http.read()) {
      body += piece;
    }
  } catch (const Error& error) {  // Its status says enough.
    if (error.code() == ErrorCode::canceled) throw;
  }
  std::string said = told_error(body);
  if (said.empty()) said = "no explanation";
  const int status = http.status();
  Attempt attempt;
  attempt.failure = {.message = provider.name + " answers " + std::to_string(status) + ": " + said,
                     .code = "llm_" + std::to_string(status),
                     .is_passing = is_passing(status),
                     .after = retry_after(http.header("retry-after"), wall_now())};
  co_return attempt;
}

asio::awaitable<Attempt> Models::take_whole(const Prepared& prepared, net::HttpCall& http) {
  const Provider& provider = *prepared.choice.provider;
  const Dialect& dialect = dialect_of(provider.kind);
  Attempt attempt;
  std::string body;
  try {
    for (std::string piece = co_await http.read(); !piece.empty(); piece = co_await http.read()) {
      body += piece;
    }
    auto read = [&dialect, &body] { return dialect.read(body); };
    if (body.size() <= kParsedAtOnce) {
      attempt.reply = read();
    } else {
      attempt.reply = co_await async::offload(pool_, std::move(read));
    }
    finish(prepared, attempt);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    attempt.failure = error.code() == ErrorCode::invalid_argument
                          ? bad_answer(provider, error.what())
                          : failure_of(error);
    attempt.usage = estimate(prepared.body.size(), body.size());
  }
  co_return attempt;
}

asio::awaitable<Attempt> Models::take_stream(const Prepared& prepared, net::HttpCall& http,
                                             const OnText& on_text) {
  const Provider& provider = *prepared.choice.provider;
  const std::unique_ptr<StreamReader> reader = dialect_of(provider.kind).stream();
  EventStreamParser events("the provider", kEventBytesMax);
  Attempt attempt;
  try {
    while (!reader->error() && !reader->is_over()) {
      const std::string piece = co_await http.read();
      if (piece.empty()) break;
      std::string text;
      events.feed(piece, [&](const StreamEvent& event) { text += reader->take(event.data); });
      if (!text.empty()) on_text(text);
    }
    if (const auto& error = reader->error()) {
      attempt.failure = {.message = provider.name + ": " + error->message,
                         .code = "llm_stream_error",
                         .is_passing = error->is_passing};
    } else if (!reader->has_ended()) {
      attempt.failure = bad_answer(provider, "its stream ended before the answer was whole");
    } else {
      attempt.reply = reader->reply();
      finish(prepared, attempt);
    }
  } catch (const Error& error) {
    // What comes behind the last word of an answer does not count.
    const bool is_cut =
        error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timed_out;
    if (reader->has_ended() && is_cut) {
      attempt.reply = reader->reply();
      finish(prepared, attempt);
    } else {
      attempt.failure = error.code() == ErrorCode::invalid_argument
                            ? bad_answer(provider, error.what())
                            : failure_of(error);
    }
  }
  if (!attempt.reply) attempt.usage = usage_of_part(prepared, reader->reply());
  co_return attempt;
}

}  // namespace cellar::llm
