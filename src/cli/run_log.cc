#include <chrono>
#include <set>

#include "cli/commands.h"
#include "cli/event_line.h"
#include "cli/follow.h"

namespace cellar::cli {
namespace {

using std::chrono::milliseconds;

// Without -f: what has happened so far is sent at once, so after this long nothing more is coming.
constexpr milliseconds kCaughtUp{500};
// The daemon writes a comment every 15 s: a connection silent for longer is dead.
constexpr milliseconds kSilence{60'000};

const std::set<std::string> kLastTypes = {"run.completed", "run.failed", "run.cancelled"};

// Shows what happens in a run, or a cell.
class EventLog {
 public:
  EventLog(const RunLog& command, Context& context) : command_(command), context_(context) {
    if (command.after) last_id_ = std::to_string(*command.after);
  }

  void follow() {
    using Connections = Following::Connections;
    const Following following{
        .request = [this] { return request(); },
        .take = [this](const StreamEvent& event) { show(event); },
        .go_on_behind = [this](const std::string& id) { last_id_ = id; },
        .is_done = [this] { return has_ended_; },
        .connections = command_.follow ? Connections::many : Connections::one};
    cli::follow(context_.api, following);
  }

 private:
  std::string path() const {
    std::string path = command_.run.run_id.empty() ? cell_path(command_.run.cell_id, "/events")
                                                   : run_path(command_.run, "/events");
    std::string query;
    const auto add = [&query](std::string_view name, const std::string& value) {
      query += (query.empty() ? "?" : "&") + std::string(name) + "=" + encode_segment(value);
    };
    if (command_.tail && last_id_.empty()) add("tail", std::to_string(*command_.tail));
    if (!command_.types.empty()) add("types", command_.types);
    if (!command_.view.empty()) add("view", command_.view);
    return path + query;
  }

  Request request() const {
    Request request{.path = path(),
                    .headers = {kAcceptEvents},
                    .idle_max = command_.follow ? kSilence : kCaughtUp};
    if (!last_id_.empty()) request.headers.push_back("Last-Event-ID: " + last_id_);
    return request;
  }

  void show(const StreamEvent& event) {
    context_.output.text(context_.output.format() == Format::json ? event.data + "\n"
                                                                  : format_event(event));
    if (!command_.run.run_id.empty() && kLastTypes.contains(event.type)) has_ended_ = true;
  }

  const RunLog& command_;
  Context& context_;
  std::string last_id_;
  bool has_ended_ = false;
};

}  // namespace

int run(const RunLog& command, Context& context) {
  EventLog(command, context).follow();
  return 0;
}

}  // namespace cellar::cli
