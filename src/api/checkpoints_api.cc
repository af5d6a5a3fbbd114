// States of a cell that are kept, and what differs between two of them.

#include <fmt/format.h>

#include <algorithm>

#include "api/api.h"
#include "api/cursor.h"
#include "api/files.h"
#include "async/pool.h"
#include "base/error.h"
#include "diff/patch.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::size_t kMessageBytesMax = 4096;

json::Value checkpoint_json(const checkpoint::Head& head) {
  json::Value value = json::object({{"id", head.id}});
  json::Object& fields = value.as_object();
  if (!head.name.empty()) fields.set("name", head.name);
  if (!head.message.empty()) fields.set("message", head.message);
  fields.set("created_at", to_iso8601(head.created_at));
  fields.set("seq", head.event_seq);
  fields.set("files", head.file_count);
  fields.set("bytes", head.bytes);
  fields.set("database_bytes", head.database_bytes);
  if (!head.damage.empty()) fields.set("damaged", head.damage);
  if (head.special_count + head.too_large_count + head.unsteady_count > 0) {
    fields.set("not_exact", json::object({{"special", head.special_count},
                                          {"too_large", head.too_large_count},
                                          {"unsteady", head.unsteady_count}}));
  }
  return value;
}

Cursor cursor_of(const checkpoint::Head& head) { return Cursor::of(head.created_at, head.id); }

asio::awaitable<void> create_checkpoint(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  cell::CheckpointRequest request;
  if (auto name = body.optional_string("name")) {
    request.name = cell::checked_checkpoint_name(std::move(*name));
  }
  request.message = body.optional_string("message").value_or("");
  if (request.message.size() > kMessageBytesMax) {
    json::Reader::refuse("message", "a text of at most 4096 bytes");
  }
  body.refuse_unknown();
  const auto activity = cell->watch("request", "checkpoint");
  const checkpoint::Head head = co_await cell->make_checkpoint(std::move(request));
  co_await call.answer(checkpoint_json(head), 201);
}

asio::awaitable<void> list_checkpoints(const Call& call) {
  constexpr std::int64_t kCheckpointsListedMax = 100;
  const auto cell = call.cell();
  const auto limit =
      static_cast<std::size_t>(call.query_int("limit", 1, kCheckpointsListedMax).value_or(100));
  const auto after = Cursor::parse(call.exchange.request().query_value("cursor").value_or(""));
  std::vector<checkpoint::Head> heads = co_await cell->checkpoints().list();
  std::reverse(heads.begin(), heads.end());
  const auto is_shown = [&](const checkpoint::Head& head) { return *after <= cursor_of(head); };
  auto first = after ? std::find_if_not(heads.begin(), heads.end(), is_shown) : heads.begin();
  json::Array list;
  for (; first != heads.end() && list.size() < limit; ++first) {
    list.push_back(checkpoint_json(*first));
  }
  json::Value answer = json::object({{"checkpoints", std::move(list)}});
  if (first != heads.end()) {
    answer.as_object().set("next_cursor", cursor_of(*std::prev(first)).text());
  }
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> get_checkpoint(const Call& call) {
  const auto cell = call.cell();
  std::string wanted = call.params.at("checkpoint");
  const checkpoint::Head head = co_await cell->checkpoints().get(std::move(wanted));
  co_await call.answer(checkpoint_json(head));
}

asio::awaitable<void> delete_checkpoint(const Call& call) {
  const auto cell = call.cell();
  std::string wanted = call.params.at("checkpoint");
  const auto activity = cell->watch("request", "checkpoint");
  co_await cell->remove_checkpoint(std::move(wanted));
  co_await call.answer_nothing();
}

json::Value side_json(const checkpoint::File& file) {
  sys::DirEntry entry{.path = file.path, .target = file.target};
  entry.stat.kind = file.kind;
  entry.stat.mode = file.mode;
  entry.stat.size_bytes = file.size_bytes;
  entry.stat.mtime_ns = file.mtime_ns;
  return entry_json(entry);
}

json::Value change_json(const checkpoint::Change& change) {
  json::Value value =
      json::object({{"path", change.path()}, {"change", checkpoint::name_of(change.kind)}});
  json::Object& fields = value.as_object();
  if (change.before) fields.set("before", side_json(*change.before));
  if (change.after) fields.set("after", side_json(*change.after));
  if (change.is_binary) fields.set("binary", true);
  if (change.is_too_large) fields.set("too_large", true);
  if (change.patch) fields.set("patch", *change.patch);
  return value;
}

json::Value diff_json(const cell::DiffAnswer& answer) {
  json::Array changes;
  json::Object summary;
  const checkpoint::Differences& found = answer.differences;
  for (const checkpoint::Change& change : found.changes) changes.push_back(change_json(change));
  for (std::size_t kind = 0; kind < std::size(found.counts); ++kind) {
    summary.set(std::string(name_of(static_cast<checkpoint::ChangeKind>(kind))),
                found.counts[kind]);
  }
  json::Value value = json::object({{"from", checkpoint_json(answer.from)}});
  json::Object& fields = value.as_object();
  if (answer.to) fields.set("to", checkpoint_json(*answer.to));
  fields.set("summary", std::move(summary));
  fields.set("changes", std::move(changes));
  if (!found.truncated_by.empty()) {
    fields.set("truncated", true);
    fields.set("truncated_by", found.truncated_by);
  }
  return value;
}

// What `git apply` takes; it passes over what is said between the files.
http::Response patch_response(const cell::DiffAnswer& answer) {
  http::Response response;
  response.content_type = "text/plain; charset=utf-8";
  for (const checkpoint::Change& change : answer.differences.changes) {
    if (change.patch) {
      response.body += *change.patch;
    } else if (change.is_binary || change.is_too_large) {
      response.body +=
          fmt::format("# {} {}: {}, not shown\n", name_of(change.kind),
                      diff::quoted_path(change.path()), change.is_binary ? "no text" : "too large");
    }
  }
  if (!answer.differences.truncated_by.empty()) {
    response.headers.emplace_back("Diff-Truncated-By", answer.differences.truncated_by);
    response.body += "# truncated by: " + answer.differences.truncated_by + "\n";
  }
  return response;
}

asio::awaitable<void> tell_diff(const Call& call) {
  constexpr std::int64_t kChangesMax = 10'000;
  const auto cell = call.cell();
  const http::Request& query = call.exchange.request();
  cell::DiffRequest request;
  request.from = query.query_value("from").value_or("");
  request.to = query.query_value("to").value_or(std::string(cell::kPresent));
  if (const auto path = query.query_value("path")) request.path = sys::normalize_path(*path);
  if (call.query_flag("all")) request.scope = cell::WorkScope::all;
  if (const auto limit = call.query_int("limit", 1, kChangesMax)) {
    request.limits.changes_max = static_cast<std::size_t>(*limit);
  }
  const std::string format = query.query_value("format").value_or("json");
  if (format != "json" && format != "patch") {
    throw Error(ErrorCode::invalid_argument, "invalid_query",
                "\"format\" must be \"json\" or \"patch\"");
  }
  const bool only_names = call.query_flag("names");
  if (only_names && format == "patch") {
    throw Error(ErrorCode::invalid_argument, "invalid_query",
                "\"names\" leaves out the patches that \"format=patch\" asks for",
                "leave one of them out");
  }
  if (only_names) request.patches = checkpoint::Patches::none;
  const auto activity = cell->watch("request", "diff");
  // Shared with the pool, whether the caller stays or not.
  const auto answer = std::make_shared<const cell::DiffAnswer>(
      co_await cell->checkpoints().diff(std::move(request)));
  if (format == "json") {
    auto dump = [answer] { return json::dump(diff_json(*answer)); };
    co_await call.answer_text(co_await async::offload(cell->pool(), dump));
  } else {
    auto make = [answer] { return patch_response(*answer); };
    co_await call.exchange.respond(co_await async::offload(cell->pool(), make));
  }
}

}  // namespace

std::vector<Route> checkpoint_routes() {
  const std::string root = "/api/v1/cells/{id}/checkpoints";
  return {{"POST", root, create_checkpoint},
          {"GET", root, list_checkpoints},
          {"GET", root + "/{checkpoint}", get_checkpoint},
          {"DELETE", root + "/{checkpoint}", delete_checkpoint},
          {"GET", "/api/v1/cells/{id}/diff", tell_diff}};
}

}  // namespace cellar::api
