// Search in /work, and the documents beside its files.

#include "api/api.h"
#include "api/heartbeat.h"
#include "cell/search_json.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::size_t kDocumentBodyMax = 8 << 20;  // A text of 1 MB as JSON, escaped at worst.

asio::awaitable<void> search(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  cell::SearchRequest request = cell::read_search_request(body);
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "search");
  const auto began = std::chrono::steady_clock::now();
  const auto found = co_await cell->search(std::move(request));
  call.supervisor.measures().search.observe(std::chrono::steady_clock::now() - began);
  json::Value answer = json::object({{"results", cell::to_json(found.hits)}});
  if (found.left_out_count > 0) answer.as_object().set("left_out", found.left_out_count);
  if (found.out_of_time) answer.as_object().set("truncated_by", "time");
  cell::set_indexing(answer, found.indexing);
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> search_symbols(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  cell::SymbolRequest request = cell::read_symbol_request(body);
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "search");
  const auto found = co_await cell->search_symbols(std::move(request));
  json::Value answer = json::object({{"symbols", cell::to_json(found.symbols)}});
  cell::set_indexing(answer, found.indexing);
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> send_indexing(Heartbeat& heartbeat, std::optional<double> part,
                                    std::string& last) {
  json::Value progress = json::object({});
  cell::set_indexing(progress, part);
  std::string event = stream_event("indexing", json::dump(progress));
  if (event == last) co_return;
  last = event;
  co_await heartbeat.send(std::move(event));
}

// Until all files are read. Where the cell rests, nobody reads but who asks for the status.
asio::awaitable<void> send_progress(const Call& call, cell::Cell& cell,
                                    cell::WorkIndex::Status status) {
  std::string last;
  Heartbeat heartbeat(call);
  while (status.indexing) {
    co_await send_indexing(heartbeat, status.indexing, last);
    while (const auto part = cell.indexing()) {
      co_await send_indexing(heartbeat, part, last);
      const bool advanced = co_await cell.indexed_more(heartbeat.left());
      if (heartbeat.is_due(advanced)) co_await heartbeat.beat();
    }
    status = co_await cell.search_status();
  }
  co_await call.exchange.send(stream_event("status", json::dump(cell::to_json(status))));
}

asio::awaitable<void> search_status(const Call& call) {
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "search");
  auto status = co_await cell->search_status();
  if (!call.wants_events()) {
    co_await call.answer(cell::to_json(status));
    co_return;
  }
  co_await call.exchange.start_stream(event_stream_head());
  co_await finish_stream(call, send_progress(call, *cell, std::move(status)));
}

struct Document {
  std::string path;
  std::string text;
};

Document read_document(const json::Value& value) {
  const json::Reader body(value, "the body");
  Document document;
  document.path = body.required_string("path");
  document.text = body.required_string("text");
  body.refuse_unknown();
  return document;
}

asio::awaitable<void> put_document(const Call& call) {
  const auto cell = call.cell();
  Document document = co_await call.read_body(kDocumentBodyMax, read_document);
  const auto activity = co_await cell->use("request", "search");
  co_await cell->put_document(std::move(document.path), std::move(document.text));
  co_await call.answer_nothing();
}

asio::awaitable<void> remove_document(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string path = body.required_string("path");
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "search");
  const bool removed = co_await cell->remove_document(std::move(path));
  json::Value answer = json::object({{"removed", removed}});
  co_await call.answer(std::move(answer));
}

}  // namespace

std::vector<Route> search_routes() {
  return {{"POST", "/api/v1/cells/{id}/search", search, cell::Scope::read},
          {"POST", "/api/v1/cells/{id}/search/symbols", search_symbols, cell::Scope::read},
          {"GET", "/api/v1/cells/{id}/search/status", search_status},
          {"POST", "/api/v1/cells/{id}/search/index", put_document},
          {"POST", "/api/v1/cells/{id}/search/remove", remove_document}};
}

}  // namespace cellar::api
