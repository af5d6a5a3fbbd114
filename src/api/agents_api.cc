// Calls of an agent's methods: the face that applications written for OnCell know.

#include <optional>
#include <utility>

#include "api/api.h"
#include "api/event_pages.h"
#include "api/heartbeat.h"
#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

std::string text_in(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  return member != nullptr && member->is_string() ? member->as_string() : std::string();
}

// What a run that did not complete means for its caller.
Error error_of(const cell::Run& run, const json::Value& error) {
  std::string message = text_in(error, "message");
  if (message.empty()) message = text_in(error, "name");  // `throw new Error()`, `assert`
  const std::string code = text_in(error, "code");
  if (run.status == cell::RunStatus::cancelled) {
    return Error(ErrorCode::conflict, "run_cancelled", "run " + run.id + " was cancelled");
  }
  // Of one that has done something it is the error of a child, say.
  const bool has_begun = run.generation > 1 || !run.steps.empty();
  if (code == "method_not_found" && !has_begun) return Error(ErrorCode::not_found, code, message);
  return Error(ErrorCode::internal, code.empty() ? "agent_error" : code, message);
}

Error error_of_pause(const cell::Run& run) {
  const std::string go_on = "POST …/runs/" + run.id + "/resume goes on";
  const json::Value detail = run.detail.empty() ? json::Value() : json::parse(run.detail);
  const std::string message = text_in(detail, "message");
  const std::string remediation = text_in(detail, "remediation");
  // Asking again helps nobody: it goes on where somebody says so.
  return Error(
      ErrorCode::conflict, run.reason,
      "run " + run.id + " is paused: " + (message.empty() ? run.reason : message),
      (remediation.empty() ? "GET …/runs/" + run.id + " says why" : remediation) + "; " + go_on);
}

// The answer to one call: JSON, or a stream once the agent streams. Clients that were written for
// OnCell may take an event for one line and no more: numbers are for those that ask for events.
class Answer {
 public:
  Answer(const Call& call, cell::Cell& cell, const cell::Run& run, cell::CellJournal::Look look)
      : call_(call), cell_(cell), run_(run), look_(look), numbered_(call.wants_events()) {}

  // Until the run settles; to a client that has had a part of the stream, what is behind the event
  // `seen`. Throws Error for a run that did not complete and has not streamed.
  asio::awaitable<void> send(std::optional<journal::Lsn> seen) {
    if (seen) {
      numbered_ = true;
      co_await begin_stream();
    }
    if (seen && cell::is_terminal(run_.status) && run_.ended <= *seen) {
      co_await end_stream();  // It has all of it.
    } else {
      co_await tell(seen.value_or(0));
    }
  }

 private:
  asio::awaitable<void> tell(journal::Lsn after) {
    for (;;) {
      const journal::Lsn durable = cell_.journal().last_durable();
      if (run_.told > after) {
        const auto events = co_await cell_.journal().events(run_, after, look_);
        after = events.seen;
        for (const cell::RunEvent& event : events.list) {
          const bool ended = co_await take(event);
          if (ended) co_return;
        }
        if (events.more) continue;
      } else {
        after = durable;  // Steps, whose values would be read for nothing.
      }
      const bool advanced = co_await cell_.journal().advanced(
          durable, heartbeat_ ? heartbeat_->left() : call_.heartbeat());
      if (heartbeat_ && heartbeat_->is_due(advanced)) co_await heartbeat_->beat();
    }
  }

  asio::awaitable<bool> take(const cell::RunEvent& event) {
    if (event.type == "stream") {
      if (!heartbeat_) co_await begin_stream();
      co_await stream(event.seq, event.data);
      co_return false;
    }
    if (event.type == "run.paused" && run_.status == cell::RunStatus::paused) {
      co_await fail(event.seq, error_of_pause(run_));
      co_return true;
    }
    if (!cell::is_last(event)) co_return false;
    const std::string value = co_await cell_.journal().value_of(run_.ended);
    if (run_.status == cell::RunStatus::completed) {
      co_await complete(event.seq, value);
    } else {
      co_await fail(event.seq, error_of(run_, json::parse(value)));
    }
    co_return true;
  }

  asio::awaitable<void> begin_stream() {
    heartbeat_.emplace(call_);
    http::Response head = event_stream_head();
    head.headers.emplace_back(kRunHeader, run_.id);
    if (numbered_) head.body = "retry: 1000\n\n";
    co_await call_.exchange.start_stream(std::move(head));
  }

  asio::awaitable<void> stream(journal::Lsn seq, const std::string& json_text) {
    const std::string number = numbered_ ? "id: " + std::to_string(seq) + "\n" : std::string();
    co_await heartbeat_->send(number + "data: " + json_text + "\n\n");
  }

  asio::awaitable<void> end_stream() {
    if (numbered_) co_await heartbeat_->send(std::string(kEndComment));
    co_await call_.exchange.finish();
  }

  asio::awaitable<void> complete(journal::Lsn seq, const std::string& json_text) {
    if (heartbeat_) {
      co_await stream(seq, json_text);
      co_await end_stream();
      co_return;
    }
    http::Response response;
    response.body = json_text;
    response.headers.emplace_back(kRunHeader, run_.id);
    co_await call_.exchange.respond(std::move(response));
  }

  asio::awaitable<void> fail(journal::Lsn seq, Error error) {
    if (!heartbeat_) throw error;
    const json::Value value =
        json::object({{"error", error.what()}, {"code", error.reason()}, {"run", run_.id}});
    co_await stream(seq, json::dump(value));
    co_await end_stream();
  }

  const Call& call_;
  cell::Cell& cell_;
  const cell::Run& run_;
  const cell::CellJournal::Look look_;
  bool numbered_;
  std::optional<Heartbeat> heartbeat_;  // once it streams
};

// Those of visitors are their own: no header can have such a key.
std::optional<std::string> idempotency_key(const Call& call, Caller caller) {
  auto key = call.idempotency_key();
  if (key && caller == Caller::visitor) key = "visitor\n" + *key;
  return key;
}

// Behind which event of its run the client wants the answer; nullopt: all of it. Throws Error where
// that run cannot be found: a new one would not go on with the old one's stream.
std::optional<journal::Lsn> rest_after(const Call& call, cell::Cell& cell, Caller caller) {
  const auto after = call.events_after();
  if (!after) return std::nullopt;
  const std::string go_on = "GET …/runs/{run}/events goes on with any run";
  const auto key = idempotency_key(call, caller);
  if (!key) {
    throw Error(ErrorCode::invalid_argument, "invalid_header",
                "Last-Event-ID without the Idempotency-Key that the run was begun with would begin "
                "another run",
                "send the same key with each try; " + go_on);
  }
  if (cell.runs().find_key(*key) == nullptr) {
    throw Error(
        ErrorCode::not_found, "run_not_found",
        "cell " + cell.spec().cell_id + " has no run with this Idempotency-Key to go on with",
        "leave out Last-Event-ID to begin one; " + go_on);
  }
  require_event(*after, cell.journal());
  return *after;
}

asio::awaitable<void> call_method(const Call& call, cell::Cell& cell, std::string method,
                                  std::string params, Caller caller) {
  const cell::CellJournal::Look look{.view = call.view(),
                                     .values = cell::CellJournal::Look::Values::left};
  auto answered = co_await cell.answer(method, params);
  if (answered) {
    co_await call.answer_text(std::move(*answered));
    co_return;
  }
  const auto after = rest_after(call, cell, caller);
  auto key = idempotency_key(call, caller);
  const cell::Runner::Started started =
      co_await cell.start_run(std::move(method), std::move(params), std::move(key));
  if (call.run != nullptr) *call.run = started.id;
  Answer answer(call, cell, *cell.runs().find(started.id), look);
  co_await answer.send(after);
}

asio::awaitable<void> request_cell(const Call& call, std::shared_ptr<cell::Cell> cell,
                                   std::string method, std::string params, Caller caller) {
  method = checked_name("method", std::move(method));
  const auto began = std::chrono::steady_clock::now();
  const auto activity = co_await cell->use("request", method);
  std::exception_ptr failure;
  try {
    co_await call_method(call, *cell, std::move(method), std::move(params), caller);
  } catch (...) {
    failure = std::current_exception();
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  cell->count_request(failure != nullptr, took);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

asio::awaitable<void> request_agent(const Call& call, Caller caller) {
  const auto cell = call.cell();
  const std::size_t bytes_max = caller == Caller::visitor ? kSmallBodyMax : kBodyMax;
  MethodCall asked = co_await call.read_body(bytes_max, read_method_call);
  if (caller == Caller::visitor && cell::Cell::answers(asked.method)) {
    throw Error(ErrorCode::unauthenticated, "method_not_for_visitors",
                "\"" + asked.method +
                    "\" reads or changes the cell itself: a preview calls methods "
                    "of its agent only",
                "give the agent a method that does what visitors may, or send it with a key to "
                "POST /api/v1/cells/" +
                    cell->spec().cell_id + "/request");
  }
  co_await request_cell(call, cell, std::move(asked.method), std::move(asked.params), caller);
}

namespace {

asio::awaitable<void> request_by_customer(const Call& call) {
  const std::string* customer = call.exchange.request().header("x-customer-id");
  if (customer == nullptr || customer->empty()) {
    throw Error(ErrorCode::invalid_argument, "customer_missing",
                "the header X-Customer-ID is missing", "send the customer's id in it");
  }
  cell::Supervisor::CellPtr cell = call.supervisor.find_customer(call.owner, *customer);
  if (cell) {
    std::string cell_id = cell->spec().cell_id;
    const auto held = co_await call.supervisor.ready(std::move(cell_id));
    cell = call.supervisor.find_customer(call.owner, *customer);
  }
  if (!cell) {
    throw Error(ErrorCode::not_found, "cell_not_found",
                "customer \"" + *customer + "\" has no cell",
                "create it with POST /api/v1/cells and an agent");
  }
  std::string params = co_await call.read_body(kBodyMax, json::dump);
  std::string method = call.params.at("method");
  co_await request_cell(call, cell, std::move(method), std::move(params), Caller::owner);
}

}  // namespace

std::vector<Route> agent_routes() {
  return {{"POST", "/api/v1/cells/{id}/request",
           [](const Call& call) { return request_agent(call, Caller::owner); }},
          {"POST", "/api/v1/agents/{method}", request_by_customer}};
}

}  // namespace cellar::api
