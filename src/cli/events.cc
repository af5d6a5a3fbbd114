#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/event_stream.h"
#include "json/json.h"

namespace cellar::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// Without -f: what has happened so far is sent at once, so after this long nothing more is coming.
constexpr milliseconds kCaughtUp{500};
// The daemon writes a comment every 15 s: a connection silent for longer is dead.
constexpr milliseconds kSilence{60'000};
constexpr milliseconds kFirstPause{200};
constexpr milliseconds kLongestPause{5'000};
// How long the daemon may be away.
constexpr milliseconds kGiveUp{120'000};

const std::set<std::string> kLastTypes = {"run.completed", "run.failed", "run.cancelled"};

std::string format_event(const StreamEvent& event) {
  const json::Value whole = json::parse(event.data, {.depth_max = 512});
  const json::Value* data = whole.find("data");
  const std::string ts = column(whole, "ts");
  const std::size_t time_at = ts.find('T');
  const std::string time = time_at == ts.npos ? ts : ts.substr(time_at + 1);
  std::string text;
  if (data != nullptr && (event.type == "stdout" || event.type == "stderr")) {
    text = column(*data, "text");
    if (text.empty()) text = from_base64(column(*data, "b64")).value_or("");
  } else if (data != nullptr && !data->is_null()) {
    text = json::dump(*data);
  }
  return printable(event.id) + "\t" + printable(time) + "\t" + printable(event.type) + "\t" +
         printable(trim(text), Lines::keep) + "\n";
}

// Follows one run over as many connections as it takes.
class Follower {
 public:
  Follower(const Events& command, Context& context) : command_(command), context_(context) {
    if (command.after) last_id_ = std::to_string(*command.after);
  }

  void follow() {
    milliseconds pause = kFirstPause;
    auto last_contact = Clock::now();
    for (;;) {
      const std::string before = last_id_;
      const std::optional<Error> failure = read();
      if (!failure) last_contact = Clock::now();
      const bool is_given_up =
          !command_.follow || !was_connected_ || Clock::now() - last_contact > kGiveUp;
      if (failure && is_given_up) throw *failure;
      if (has_ended_ || !command_.follow) return;
      if (last_id_ != before) pause = kFirstPause;
      std::this_thread::sleep_for(std::max(pause, retry_));
      pause = std::min(pause * 2, kLongestPause);
    }
  }

 private:
  // One connection, until the run, the connection or the patience ends. Gives the failure that the
  // next connection may mend: a daemon that restarts is no end of the run. Throws others.
  std::optional<Error> read() {
    EventStreamParser parser;
    const auto on_event = [this](const StreamEvent& event) { show(event); };
    std::optional<Error> failure;
    try {
      context_.api.stream(request(), [&](const Response&, std::string_view bytes) {
        was_connected_ = true;
        parser.feed(bytes, on_event);
        return has_ended_ ? Flow::stop : Flow::go_on;
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) throw;
      failure = error;
    }
    if (parser.retry()) retry_ = std::min(*parser.retry(), kLongestPause);
    return failure;
  }

  Request request() const {
    Request request{
        .path = cell_path(command_.cell_id, "/runs/" + encode_segment(command_.run_id) + "/events"),
        .headers = {"Accept: text/event-stream"},
        .idle_max = command_.follow ? kSilence : kCaughtUp};
    if (!last_id_.empty()) request.headers.push_back("Last-Event-ID: " + last_id_);
    return request;
  }

  void show(const StreamEvent& event) {
    if (!event.id.empty()) last_id_ = event.id;
    context_.output.text(context_.output.format() == Format::json ? event.data + "\n"
                                                                  : format_event(event));
    if (kLastTypes.contains(event.type)) has_ended_ = true;
  }

  const Events& command_;
  Context& context_;
  std::string last_id_;
  milliseconds retry_{0};
  bool was_connected_ = false;
  bool has_ended_ = false;
};

}  // namespace

int run(const Events& command, Context& context) {
  Follower(command, context).follow();
  return 0;
}

}  // namespace cellar::cli
