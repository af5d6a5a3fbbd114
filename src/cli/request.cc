#include <functional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/event_stream.h"
#include "cli/patience.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kJsonBytesMax = 64 << 20;

json::Value body_of(const AgentRequest& command, Context& context) {
  json::Object body;
  body.set("method", command.method);
  body.set("params", read_json("params", command.params, json::object({}), context));
  return body;
}

// Methods that the daemon itself answers, and that do something else when they are done twice. All
// others are, or are as good as, one run of their key.
const std::set<std::string, std::less<>> kOnce = {"db_create", "db_delete", "db_delete_record"};

// One call, over as many connections as it takes.
class MethodCall {
 public:
  MethodCall(const AgentRequest& command, Context& context)
      : command_(command), context_(context), body_(json::dump(body_of(command, context))) {}

  // Until it is answered, also over restarts of the daemon: an answer that says that another try is
  // in vain is one. Throws Error, also that of the run.
  void send() {
    Patience patience;
    bool is_back = false;
    for (;;) {
      try {
        ask(patience);
        break;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unavailable || !may_repeat()) throw;
        const bool was_lost = error.reason() == "connection_lost";
        const bool is_away = was_lost || error.reason() == "daemon_unreachable";
        if (was_lost && !std::exchange(is_back, true)) patience.heard();
        if (!patience.is_left()) {
          if (!is_back || !is_away) throw;  // An answer has a remedy of its own.
          throw Error(error.code(), error.reason(), error.what(),
                      "it may go on there: \"cellar runs ls " + command_.cell_id + "\" shows it");
        }
      }
      patience.wait();
    }
    if (held_) throw *held_;
    if (answer_.body.empty()) return;
    show_value(context_.api.value_of(answer_), context_.output);
  }

 private:
  Request request() const {
    Request request{
        .method = "POST",
        .path = cell_path(command_.cell_id, "/request"),
        .headers = {"Content-Type: application/json", "Accept: application/json, text/event-stream",
                    "Idempotency-Key: " + key_},
        .body = body_};
    if (!last_id_.empty()) request.headers.push_back("Last-Event-ID: " + last_id_);
    return request;
  }

  // What was shown once without a number would be shown again.
  bool may_repeat() const {
    return !kOnce.contains(command_.method) && has_shown_ == !last_id_.empty();
  }

  void ask(Patience& patience) {
    EventStreamParser parser;
    held_.reset();
    std::string whole;  // of an answer that is no stream
    const auto on_bytes = [&](const Response& head, std::string_view bytes) {
      patience.heard();
      if (head.content_type == "text/event-stream") {
        parser.feed(bytes, [&](const StreamEvent& event) { take(event, head.run_id); });
      } else if (whole.size() + bytes.size() > Client::kBodyBytesMax) {
        throw Error(ErrorCode::too_large, "the answer is too large");
      } else {
        whole.append(bytes);
      }
      return Flow::go_on;
    };
    answer_ = context_.api.stream(request(), on_bytes);
    answer_.body = std::move(whole);
    // A proxy may make a proper end of one that broke off.
    const bool is_numbered = parser.retry() || !parser.last_id().empty();
    if (is_numbered && !parser.has_ended()) {
      throw Error(ErrorCode::unavailable, "connection_lost", "the answer broke off before its end");
    }
  }

  void take(const StreamEvent& event, const std::string& run_id) {
    if (event.data == "[DONE]") return;
    if (held_) show(held_event_);  // Something followed: it was the agent's own.
    held_ = failure_in(event, run_id);
    if (held_) {
      held_event_ = event;
    } else {
      show(event);
    }
  }

  void show(const StreamEvent& event) {
    context_.output.text(event.data + "\n");
    has_shown_ = true;
    last_id_ = event.id;
  }

  // The last item of a run that failed is {"error", "code", "run"}, with its own id.
  std::optional<Error> failure_in(const StreamEvent& event, const std::string& run_id) const {
    const json::Value value = json::parse(event.data, {.depth_max = 512});
    if (!value.is_object()) return std::nullopt;
    for (const std::string_view name : {"error", "code", "run"}) {
      const json::Value* text = value.find(name);
      if (text == nullptr || !text->is_string()) return std::nullopt;
    }
    if (run_id.empty() || column(value, "run") != run_id) return std::nullopt;
    return Error(ErrorCode::internal, column(value, "code"), column(value, "error"),
                 "\"cellar runs get " + command_.cell_id + " " + run_id + "\" says what was done");
  }

  const AgentRequest& command_;
  Context& context_;
  const std::string body_;
  const std::string key_ = random_hex(16);
  Response answer_;
  std::string last_id_;  // of what was shown
  bool has_shown_ = false;
  std::optional<Error> held_;  // the run's failure, if nothing follows it
  StreamEvent held_event_;
};

}  // namespace

json::Value read_json(std::string_view what, const std::string& text, json::Value otherwise,
                      Context& context) {
  const std::string given =
      text == "-" ? sys::read_all(context.in, kJsonBytesMax, "standard input") : text;
  if (text.empty()) return otherwise;
  try {
    return json::parse(given);
  } catch (const Error& error) {  // To the user this is a wrong argument, and nothing was sent.
    throw Error(ErrorCode::invalid_argument, "usage",
                std::string(what) + " must be JSON: " + error.what(),
                "a text has quotes of its own: '\"text\"'");
  }
}

void show_value(const json::Value& value, Output& output) {
  if (output.format() == Format::text && value.is_string()) {
    output.text(value.as_string() + "\n");
  } else {
    output.json(value);
  }
}

int run(const AgentRequest& command, Context& context) {
  MethodCall(command, context).send();
  return 0;
}

}  // namespace cellar::cli
