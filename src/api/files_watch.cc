// What happens to files below /work, as it happens.

#include "api/files.h"
#include "api/heartbeat.h"
#include "async/pool.h"
#include "async/readable.h"
#include "async/sleep.h"
#include "base/error.h"
#include "cell/work_watch.h"
#include "json/json.h"

namespace cellar::api {
namespace {

// Changes that come so soon after the first one are told together, a file that is written in many
// pieces once.
constexpr std::chrono::milliseconds kGather{20};

// Events with numbers that go on from what the client has seen. Nothing is kept of a watch whose
// client is gone: the numbers say that there was one, and no more.
class WatchEvents {
 public:
  explicit WatchEvents(std::uint64_t after) : last_(after) {}

  std::string text(std::string_view type, const json::Value& data) {
    return "id: " + std::to_string(++last_) + "\n" + stream_event(type, json::dump(data));
  }

 private:
  std::uint64_t last_;
};

std::string change_event(const cell::FileChange& change, WatchEvents& events) {
  json::Value data =
      json::object({{"path", change.path}, {"type", change.is_folder ? "directory" : "file"}});
  if (!change.from.empty()) data.as_object().set("from", change.from);
  return events.text(cell::name_of(change.kind), data);
}

std::string changes_text(const cell::WorkWatch::Changes& changes, const std::string& path,
                         WatchEvents& events) {
  std::string text;
  for (const cell::FileChange& change : changes.list) text += change_event(change, events);
  if (changes.has_overflown) text += events.text("overflow", json::object({}));
  if (changes.is_gone) {
    const cell::FileChange gone{
        .kind = cell::FileChange::Kind::deleted, .path = path, .is_folder = true, .from = {}};
    text += change_event(gone, events);
  }
  return text;
}

asio::awaitable<void> follow(const Call& call, std::shared_ptr<cell::Cell> cell,
                             std::shared_ptr<cell::WorkWatch> watch, std::string path,
                             WatchEvents events) {
  const auto executor = co_await asio::this_coro::executor;
  async::SharedDescriptor descriptor;
  auto take = [cell, watch] { return watch->take(); };
  Heartbeat heartbeat(call);
  for (;;) {
    if (!descriptor) {
      sys::Fd own = sys::duplicate(watch->descriptor());
      descriptor = std::make_shared<asio::posix::stream_descriptor>(executor, own.release());
    }
    const bool has_news = co_await async::readable(descriptor, heartbeat.left());
    if (heartbeat.is_due(has_news)) co_await heartbeat.beat();
    if (!has_news) continue;
    co_await async::sleep_for(kGather);
    const auto changes = co_await async::offload(cell->pool(), take);
    std::string text = changes_text(changes, path, events);
    if (!text.empty()) co_await heartbeat.send(std::move(text));
    if (changes.is_gone) co_return;
    if (changes.has_overflown) descriptor.reset();  // It began anew.
  }
}

}  // namespace

// Whoever watches a cell does not keep it awake: what runs in it does.
asio::awaitable<void> watch_files(const Call& call, std::string path) {
  const auto cell = call.cell();
  const auto scope = call.query_flag("all") ? cell::WorkScope::all : cell::WorkScope::searched;
  const std::string folder = sys::normalize_path(path);
  const auto after = call.events_after();
  const auto place = cell->files().begin_watch();
  auto begin = [cell, folder, scope] {
    auto watch =
        std::make_unique<cell::WorkWatch>(cell->work(), folder, scope, cell::WorkWatch::Limits());
    return cell::ended_by(cell->pool(), std::move(watch));
  };
  const auto watch = co_await async::offload(cell->pool(), std::move(begin));
  http::Response head = event_stream_head();
  WatchEvents events(after.value_or(0));
  // Who has seen another watch is not told what happened since.
  head.body = events.text(after ? "reset" : "ready", json::object({{"path", folder}}));
  co_await call.exchange.start_stream(std::move(head));
  co_await finish_stream(call, follow(call, cell, watch, folder, events));
}

}  // namespace cellar::api
