// Calls on files below /work that are more than reading and writing one.

#include <type_traits>
#include <utility>

#include "api/conditions.h"
#include "api/files.h"
#include "async/pool.h"
#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

cell::WorkScope scope_of(const json::Reader& body) {
  return body.optional_bool("all").value_or(false) ? cell::WorkScope::all
                                                   : cell::WorkScope::searched;
}

std::size_t count_of(const json::Reader& body, std::string_view name, std::int64_t min,
                     std::size_t otherwise, std::size_t max) {
  const auto number = body.optional_int(name, min, static_cast<std::int64_t>(max));
  return number ? static_cast<std::size_t>(*number) : otherwise;
}

json::Array texts_json(const std::vector<std::string>& texts) {
  return json::Array(texts.begin(), texts.end());
}

json::Value match_json(const cell::GrepMatch& match, bool has_context) {
  json::Value value =
      json::object({{"path", match.path}, {"line", match.line}, {"text", match.text}});
  if (has_context) {
    value.as_object().set("before", texts_json(match.before));
    value.as_object().set("after", texts_json(match.after));
  }
  if (match.is_cut) value.as_object().set("cut", true);
  return value;
}

json::Value found_json(const cell::GlobAnswer& found) {
  return entries_json(found.files, found.truncated);
}

json::Value found_json(const cell::GrepAnswer& found, bool has_context) {
  json::Array matches;
  for (const cell::GrepMatch& match : found.matches) {
    matches.push_back(match_json(match, has_context));
  }
  json::Value skipped =
      json::object({{"binary", found.binary_count}, {"too_large", found.too_large_count}});
  json::Value value = json::object({{"matches", std::move(matches)},
                                    {"files", found.file_count},
                                    {"skipped", std::move(skipped)}});
  if (!found.truncated_by.empty()) {
    value.as_object().set("truncated", true);
    value.as_object().set("truncated_by", found.truncated_by);
  }
  return value;
}

// What `build` makes of thousands of files, as text: on the pool, in a turn of the cell.
template <typename Build>
asio::awaitable<std::string> dump_in_turn(cell::Cell& cell, Build build) {
  const auto turn = co_await cell.file_turns().turn();
  auto dump = [build = std::move(build)] { return json::dump(build()); };
  co_return co_await async::offload(cell.pool(), std::move(dump));
}

asio::awaitable<void> answer_ok(const Call& call) {
  json::Value ok = json::object({{"ok", true}});
  co_await call.answer(std::move(ok));
}

}  // namespace

asio::awaitable<void> rename_file(const Call& call) {
  refuse_conditions(call);
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string from = body.required_string("from");
  std::string to = body.required_string("to");
  const bool overwrites = body.optional_bool("overwrite").value_or(false);
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "files");
  const auto existing = overwrites ? sys::Existing::replace : sys::Existing::keep;
  std::optional<Error> failure;
  bool renamed = false;
  try {
    renamed = co_await cell->files().rename(from, std::move(to), existing);
  } catch (const Error& error) {
    if (error.reason() != "path_exists" || overwrites) throw;
    failure = error;
  }
  if (failure) {
    throw Error(failure->code(), failure->reason(), failure->what(),
                "\"overwrite\": true replaces a file there");
  }
  if (!renamed) throw no_such_file_in_work(from);
  co_await answer_ok(call);
}

asio::awaitable<void> make_folder(const Call& call) {
  refuse_conditions(call);
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string path = body.required_string("path");
  const std::string mode_text = body.optional_string("mode").value_or("755");
  const mode_t mode = parse_mode(mode_text, "invalid_field");
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "files");
  co_await cell->require_room(0);
  const bool made = co_await cell->files().make_folder(std::move(path), mode);
  json::Value answer = json::object({{"ok", true}, {"made", made}});
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> set_file_mode(const Call& call) {
  refuse_conditions(call);
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  std::string path = body.required_string("path");
  const mode_t mode = parse_mode(body.required_string("mode"), "invalid_field");
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "files");
  const bool found = co_await cell->files().set_mode(path, mode);
  if (!found) throw no_such_file_in_work(path);
  co_await answer_ok(call);
}

asio::awaitable<void> glob_files(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  cell::GlobRequest request;
  request.pattern = body.required_string("pattern");
  request.path = body.optional_string("path").value_or(".");
  request.limit =
      count_of(body, "limit", 1, cell::GlobRequest::kFilesDefault, cell::GlobRequest::kFilesMax);
  request.scope = scope_of(body);
  body.refuse_unknown();
  const auto activity = co_await cell->use("request", "files");
  cell::GlobAnswer found = co_await cell->files().glob(std::move(request));
  auto build = [found = std::move(found)] { return found_json(found); };
  std::string text = co_await dump_in_turn(*cell, std::move(build));
  co_await call.answer_text(std::move(text));
}

asio::awaitable<void> grep_files(const Call& call) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  cell::GrepRequest request;
  request.pattern = body.required_string("pattern");
  request.path = body.optional_string("path").value_or(".");
  request.paths = body.optional_strings("paths").value_or(std::vector<std::string>());
  request.is_literal = body.optional_bool("literal").value_or(false);
  request.ignores_case = body.optional_bool("ignore_case").value_or(false);
  request.context_count = count_of(body, "context", 0, 0, cell::GrepRequest::kContextMax);
  request.limit = count_of(body, "limit", 1, cell::GrepRequest::kMatchesDefault,
                           cell::GrepRequest::kMatchesMax);
  request.scope = scope_of(body);
  body.refuse_unknown();
  const bool has_context = request.context_count > 0;
  const auto activity = co_await cell->use("request", "files");
  cell::GrepAnswer found = co_await cell->files().grep(std::move(request));
  auto build = [found = std::move(found), has_context] { return found_json(found, has_context); };
  std::string text = co_await dump_in_turn(*cell, std::move(build));
  co_await call.answer_text(std::move(text));
}

}  // namespace cellar::api
