#include <chrono>
#include <optional>
#include <set>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/event_line.h"
#include "cli/event_stream.h"
#include "cli/patience.h"

namespace cellar::cli {
namespace {

using std::chrono::milliseconds;

// Without -f: what has happened so far is sent at once, so after this long nothing more is coming.
constexpr milliseconds kCaughtUp{500};
// The daemon writes a comment every 15 s: a connection silent for longer is dead.
constexpr milliseconds kSilence{60'000};

const std::set<std::string> kLastTypes = {"run.completed", "run.failed", "run.cancelled"};

// Follows a run, or a cell, over as many connections as it takes.
class Follower {
 public:
  Follower(const RunLog& command, Context& context) : command_(command), context_(context) {
    if (command.after) last_id_ = std::to_string(*command.after);
  }

  void follow() {
    for (;;) {
      const std::string before = last_id_;
      const std::optional<Error> failure = read();
      if (failure && !(command_.follow && patience_.is_left())) throw *failure;
      if (has_ended_ || !command_.follow) return;
      if (last_id_ != before) patience_.progressed();
      patience_.wait(retry_);
    }
  }

 private:
  std::string path() const {
    if (!command_.run.run_id.empty()) return run_path(command_.run, "/events");
    std::string path = cell_path(command_.run.cell_id, "/events");
    std::string query;
    const auto add = [&query](std::string_view name, const std::string& value) {
      query += (query.empty() ? "?" : "&") + std::string(name) + "=" + encode_segment(value);
    };
    if (command_.tail && last_id_.empty()) add("tail", std::to_string(*command_.tail));
    if (!command_.types.empty()) add("types", command_.types);
    return path + query;
  }

  // One connection, until the run, the connection or the patience ends. Gives the failure that the
  // next connection may mend: a daemon that restarts is no end of the run. Throws others.
  std::optional<Error> read() {
    EventStreamParser parser;
    const auto on_event = [this](const StreamEvent& event) { show(event); };
    std::optional<Error> failure;
    try {
      context_.api.stream(request(), [&](const Response&, std::string_view bytes) {
        patience_.heard();
        parser.feed(bytes, on_event);
        return has_ended_ ? Flow::stop : Flow::go_on;
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;
      failure = error;
    }
    if (!failure) patience_.heard();
    retry_ = parser.retry().value_or(retry_);
    return failure;
  }

  Request request() const {
    Request request{.path = path(),
                    .headers = {"Accept: text/event-stream"},
                    .idle_max = command_.follow ? kSilence : kCaughtUp};
    if (!last_id_.empty()) request.headers.push_back("Last-Event-ID: " + last_id_);
    return request;
  }

  void show(const StreamEvent& event) {
    if (!event.id.empty()) last_id_ = event.id;
    context_.output.text(context_.output.format() == Format::json ? event.data + "\n"
                                                                  : format_event(event));
    if (!command_.run.run_id.empty() && kLastTypes.contains(event.type)) has_ended_ = true;
  }

  const RunLog& command_;
  Context& context_;
  Patience patience_;
  std::string last_id_;
  milliseconds retry_{0};
  bool has_ended_ = false;
};

}  // namespace

int run(const RunLog& command, Context& context) {
  Follower(command, context).follow();
  return 0;
}

}  // namespace cellar::cli
