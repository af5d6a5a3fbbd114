// The events of a cell: what happens in it, and to it.

#include <algorithm>

#include "api/api.h"
#include "api/event_pages.h"
#include "api/heartbeat.h"
#include "api/views.h"
#include "base/clock.h"
#include "base/error.h"
#include "json/json.h"

namespace cellar::api {
namespace {

constexpr std::int64_t kEventsMax = 1000;     // in one answer
constexpr std::int64_t kEventsDefault = 100;  // the same
// Records that one answer looks through for events of the wanted types, and bytes of them.
constexpr std::size_t kLookedAtMax = cell::CellJournal::kTailRecordsMax;
constexpr std::size_t kLookedAtBytesMax = cell::CellJournal::kTailBytesMax;

// Where the client begins. Throws Error `invalid_argument`.
asio::awaitable<journal::Lsn> start_in(const Call& call, cell::CellJournal& journal,
                                       const EventTypes& types, cell::View view) {
  const auto after = call.events_after();
  const auto tail = call.query_int("tail", 0, kEventsMax);
  if (!after && tail) {
    const auto is_wanted = [&types](const cell::RunEvent& event) { return types.want(event.type); };
    const auto count = static_cast<std::size_t>(*tail);
    co_return co_await journal.before_newest(count, view, is_wanted);
  }
  if (after) require_event(*after, journal);
  co_return after.value_or(0);
}

// What followed is not kept any more.
bool is_stale(journal::Lsn after, const cell::CellJournal& journal) {
  return after != 0 && after + 1 < journal.first();
}

void append_stale(std::string& text, journal::Lsn after, const cell::CellJournal& journal) {
  cell::RunEvent stale;
  stale.seq = journal.first() - 1;
  stale.at = wall_now();
  stale.type = "stale";
  stale.data = json::dump(json::object({{"after", after}}));
  append_event_text(text, stale);
}

asio::awaitable<void> stream_events(const Call& call, std::shared_ptr<cell::Cell> cell,
                                    const EventTypes& types, EventPages& pages) {
  cell::CellJournal& journal = cell->journal();
  const cell::View view = call.view();
  journal::Lsn after = co_await start_in(call, journal, types, view);
  http::Response head = event_stream_head();
  head.body = "retry: 1000\nid: " + std::to_string(after) + "\n\n";  // Its place, with no event.
  co_await call.exchange.start_stream(std::move(head));
  Heartbeat heartbeat(call);
  for (;;) {
    std::string text;
    if (is_stale(after, journal)) append_stale(text, after, journal);
    EventPages::Page page = co_await pages.next(cell, after, types, view);
    after = page.seen;
    text = text.empty() ? std::move(page.text) : text + page.text;
    if (!text.empty()) co_await heartbeat.send(std::move(text));
    bool has_news = page.more;
    if (!has_news) has_news = co_await journal.advanced(page.durable, heartbeat.left());
    if (heartbeat.is_due(has_news)) co_await heartbeat.beat();
  }
}

asio::awaitable<void> list_events(const Call& call, cell::Cell& cell, const EventTypes& types) {
  cell::CellJournal& journal = cell.journal();
  const auto limit =
      static_cast<std::size_t>(call.query_int("limit", 1, kEventsMax).value_or(kEventsDefault));
  cell::CellJournal::Look look{.view = call.view()};
  journal::Lsn after = co_await start_in(call, journal, types, look.view);
  const bool stale = is_stale(after, journal);
  std::string text = "{\"events\":[";
  std::size_t count = 0;
  bool more = true;
  std::size_t read_bytes = 0;
  for (std::size_t looked_at = 0; more && count < limit && looked_at < kLookedAtMax &&
                                  read_bytes < kLookedAtBytesMax &&
                                  text.size() < cell::CellJournal::kEventBytesMax;) {
    look.limit = limit - count;
    const journal::Lsn begin = std::max(after, journal.first() - 1);
    const auto events = co_await journal.events(after, look);
    after = events.seen;
    more = events.more;
    looked_at += after - begin;
    read_bytes += events.read_bytes;
    for (const cell::RunEvent& event : events.list) {
      if (!types.want(event.type)) continue;
      if (count++ > 0) text += ',';
      append_event_json(text, event);
    }
  }
  text += "],\"last_seq\":" + std::to_string(after) + ",\"more\":" + (more ? "true" : "false") +
          ",\"stale\":" + (stale ? "true" : "false") + "}";
  co_await call.answer_text(std::move(text));
}

// Whoever watches a cell does not keep it awake: it is there to see that it falls asleep.
asio::awaitable<void> tell_events(const Call& call, EventPages& pages) {
  const auto cell = call.cell();
  const EventTypes types(call.exchange.request().query_value("types"));
  if (call.wants_events()) {
    co_await stream_events(call, cell, types, pages);
  } else {
    co_await list_events(call, *cell, types);
  }
}

}  // namespace

std::vector<Route> event_routes() {
  const auto pages = std::make_shared<EventPages>();  // of the route, which is copied
  const auto tell = [pages](const Call& call) { return tell_events(call, *pages); };
  return {{"GET", "/api/v1/cells/{id}/events", tell}};
}

}  // namespace cellar::api
