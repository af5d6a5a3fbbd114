// What agents and applications ask a cell for, by name.

#include <set>

#include "async/aside.h"
#include "base/error.h"
#include "base/log.h"
#include "cell/cell.h"
#include "cell/parse.h"
#include "json/json.h"
#include "json/reader.h"
#include "store/db_methods.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kFileBytesMax = 64 << 20;
constexpr std::size_t kFilesListedMax = 100'000;
constexpr std::size_t kLogLinesShown = 200;
constexpr std::chrono::milliseconds kIndexSlice(100);  // that a query waits for, at most

// On a thread of the pool: what is large takes long.
std::optional<std::string> dump_if_any(const std::optional<json::Value>& value) {
  return value ? std::optional(json::dump(*value)) : std::nullopt;
}

json::Value to_json(const std::vector<store::DeveloperLine>& lines) {
  json::Array list;
  for (const store::DeveloperLine& line : lines) {
    json::Value value =
        json::object({{"ts", to_iso8601(line.at)}, {"type", line.type}, {"message", line.message}});
    if (!line.meta.empty()) value.as_object().set("meta", json::parse(line.meta));
    list.push_back(std::move(value));
  }
  return list;
}

store::DeveloperLine line_of(const json::Value& arguments) {
  const json::Reader reader(arguments, "ctx.journal.step");
  store::DeveloperLine line;
  line.at = wall_now();
  line.type = reader.required_string("type");
  line.message = reader.required_string("message");
  if (const json::Value* meta = reader.optional_value("meta")) line.meta = json::dump(*meta);
  return line;
}

// The agent's database and developer log: one job for the store.
std::optional<json::Value> answer_store_op(store::CellStore& store, const std::string& op,
                                           const json::Value& arguments) {
  const json::Reader reader(arguments, "the arguments");
  if (op == "db.get") {
    const auto text = store.key_value.get(reader.required_string("key"));
    return text ? json::parse(*text) : json::Value();
  }
  if (op == "db.set") {
    const json::Value* value = reader.optional_value("value");
    store.key_value.set(reader.required_string("key"),
                        value != nullptr ? json::dump(*value) : "null");
    return json::Value(true);
  }
  if (op == "db.delete") return json::Value(store.key_value.erase(reader.required_string("key")));
  if (op == "db.keys") {
    json::Array keys;
    for (std::string& key : store.key_value.keys(reader.optional_string("prefix").value_or(""),
                                                 store::kKeysListedMax)) {
      keys.emplace_back(std::move(key));
    }
    return json::Value(std::move(keys));
  }
  if (op == "journal.step") {
    store.developer_log.append(line_of(arguments));
    return json::Value(true);
  }
  if (op == "journal.entries") return to_json(store.developer_log.entries());
  if (op == "journal.clear") {
    store.developer_log.clear();
    return json::Value(true);
  }
  return std::nullopt;
}

// What a run asks for at a place of its own happens once, whatever crashes.
template <typename Change>
std::string change_store(store::CellStore& store, const std::optional<store::CallPlace>& place,
                         const Change& change) {
  return place ? store.once(*place, change) : change();
}

}  // namespace

template <typename Job>
auto Cell::with_index(Job job) -> asio::awaitable<std::invoke_result_t<Job&, WorkIndex&>> {
  const auto turn = co_await index_turns_.turn();
  require_open();
  if (!index_loaded_) {
    auto load = [this](store::CellStore& store) {
      index_->load(layout_.index());
      std::set<std::string> names;
      store.documents.for_each([&](std::string_view name, std::string_view text) {
        names.emplace(name);
        index_->put_document(name, text);
      });
      index_->retain_documents([&](const std::string& name) { return names.contains(name); });
      return true;
    };
    index_loaded_ = co_await with_store(load);
  }
  const bool look_at_all = std::exchange(has_untold_changes_, false);
  auto work = [this, look_at_all, job = std::move(job)]() mutable {
    if (look_at_all) index_->stop_watching();
    return job(*index_);
  };
  auto answer = co_await async::offload(machine_.pool, std::move(work));
  care_for_index();
  co_return answer;
}

template <typename Job>
asio::awaitable<void> Cell::change_index(Job job) {
  const auto turn = co_await index_turns_.turn();
  if (!index_loaded_) co_return;
  auto work = [this, job = std::move(job)] { job(*index_); };
  co_await async::offload(machine_.pool, std::move(work));
}

void Cell::care_for_index() {
  if (!open_) return;
  if (index_->is_worth_saving()) changes_.spawn(save_index());
  if (index_->is_complete() || std::exchange(is_indexing_, true)) return;
  indexing_ = index_->indexing();
  changes_.spawn(keep_indexing());
}

asio::awaitable<void> Cell::keep_indexing() {
  struct End {
    Cell& cell;
    ~End() {
      cell.is_indexing_ = false;
      cell.indexed_.set();
    }
  } const end{*this};
  for (bool is_complete = false; !is_complete && open_ && state_ == State::active;) {
    const auto turn = co_await index_turns_.turn();
    auto read = [this] { index_->read_on(kIndexSlice); };
    co_await async::offload(machine_.pool, std::move(read));
    is_complete = index_->is_complete();
    indexing_ = index_->indexing();
    indexed_.set();
    care_for_index();
  }
}

std::optional<double> Cell::indexing() const noexcept {
  return is_indexing_ ? indexing_ : std::nullopt;
}

asio::awaitable<bool> Cell::indexed_more(std::chrono::milliseconds limit) {
  if (!is_indexing_) co_return true;
  indexed_.reset();
  co_return co_await indexed_.wait_for(limit);
}

asio::awaitable<void> Cell::save_index() {
  const auto turn = co_await snapshot_turns_.turn();
  std::optional<sys::NewFile> file;
  auto write = [this, &file](WorkIndex& index) {
    if (auto written = index.write_snapshot(layout_.index())) file.emplace(std::move(*written));
  };
  std::optional<Error> failure;
  try {
    co_await change_index(std::move(write));
    if (!file) co_return;
    auto replace = [&file] { file->replace(); };  // A query does not wait for the disk.
    co_await async::offload(machine_.pool, std::move(replace));
  } catch (const Error& error) {
    failure = error;
  }
  if (!failure) co_return;
  log::warning("cell {}: the index is not saved: {}", log::cell(spec_.cell_id), failure->what());
  auto note = [](WorkIndex& index) { index.save_failed(); };
  co_await change_index(std::move(note));
}

asio::awaitable<void> Cell::rest_index() {
  auto rest = [](WorkIndex& index) { index.stop_watching(); };
  co_await change_index(std::move(rest));
  co_await save_index();
  const auto turn = co_await index_turns_.turn();
  if (state_ != State::hibernated || !index_loaded_) co_return;
  auto old = std::exchange(index_, std::make_unique<WorkIndex>(*work_));
  index_loaded_ = false;
  auto free = [old = std::move(old)]() mutable { old.reset(); };
  co_await async::offload(machine_.pool, std::move(free));
}

asio::awaitable<WorkIndex::Answer> Cell::search(SearchRequest request) {
  auto ask = [request = std::move(request)](WorkIndex& index) {
    return index.query(request.query, request.options);
  };
  co_return co_await with_index(std::move(ask));
}

asio::awaitable<WorkIndex::SymbolAnswer> Cell::search_symbols(SymbolRequest request) {
  auto ask = [request = std::move(request)](WorkIndex& index) {
    return index.symbols(request.name, request.limit);
  };
  co_return co_await with_index(std::move(ask));
}

asio::awaitable<WorkIndex::Status> Cell::search_status() {
  auto ask = [](WorkIndex& index) { return index.status(); };
  co_return co_await with_index(std::move(ask));
}

asio::awaitable<void> Cell::put_document(std::string path, std::string text,
                                         std::optional<store::CallPlace> place) {
  // Before it is stored: what the index refuses would fail each search from the next start on.
  search::Index::check_document(path, text);
  bool is_new = false;
  auto put = [path, text, place = std::move(place), &is_new](store::CellStore& store) {
    return change_store(store, place, [&] {
      is_new = true;
      store.documents.put(path, text);
      return std::string("true");
    });
  };
  co_await with_store(put);
  if (!is_new) co_return;  // Another one may have been put there since.
  auto add = [path, text](WorkIndex& index) { index.put_document(path, text); };
  co_await change_index(std::move(add));
}

asio::awaitable<bool> Cell::remove_document(std::string path,
                                            std::optional<store::CallPlace> place) {
  bool is_new = false;
  auto remove = [path, place = std::move(place), &is_new](store::CellStore& store) {
    return change_store(store, place, [&] {
      is_new = true;
      return std::string(store.documents.remove(path) ? "true" : "false");
    });
  };
  const bool removed = co_await with_store(std::move(remove)) == "true";
  if (!is_new) co_return removed;
  auto drop = [path](WorkIndex& index) { index.remove_document(path); };
  co_await change_index(std::move(drop));
  co_return removed;
}

asio::awaitable<std::string> Cell::call(std::string op, std::string arguments,
                                        std::optional<store::CallPlace> place) {
  json::Value parsed = co_await parse(machine_.pool, std::move(arguments));
  if (op.starts_with("search.")) {
    co_return json::dump(co_await call_search(std::move(op), std::move(parsed), std::move(place)));
  }
  auto ask = [op, place = std::move(place), parsed = std::move(parsed)](store::CellStore& store) {
    if (!place) return dump_if_any(answer_store_op(store, op, parsed));
    auto change = [&] { return dump_if_any(answer_store_op(store, op, parsed)).value(); };
    return std::optional(store.once(*place, change));
  };
  auto answered = co_await with_store(std::move(ask));
  if (!answered)
    throw Error(ErrorCode::not_found, "unknown_call", "ctx has no call \"" + op + "\"");
  co_return *std::move(answered);
}

asio::awaitable<json::Value> Cell::call_search(std::string op, json::Value arguments,
                                               std::optional<store::CallPlace> place) {
  const json::Reader reader(arguments, "ctx." + op);
  if (op == "search.query") {
    const auto found = co_await search(read_search_request(reader));
    co_return to_json(found.hits);
  }
  if (op == "search.symbols") {
    const auto found = co_await search_symbols(read_symbol_request(reader));
    co_return to_json(found.symbols);
  }
  if (op == "search.status") co_return to_json(co_await search_status());
  if (op == "search.index") {
    co_await put_document(reader.required_string("path"), reader.required_string("text"),
                          std::move(place));
    co_return json::Value(true);
  }
  if (op == "search.remove") {
    co_return json::Value(
        co_await remove_document(reader.required_string("path"), std::move(place)));
  }
  throw Error(ErrorCode::not_found, "unknown_call", "ctx has no call \"" + op + "\"");
}

// ---- methods that need no agent ----

namespace {

bool is_of_files(std::string_view method) noexcept {
  return method == "write_file" || method == "read_file" || method == "list_files";
}

}  // namespace

bool Cell::answers(std::string_view method) noexcept {
  return is_of_files(method) || store::is_db_method(method) || method == "journal" ||
         method == "logs" || method == "metrics";
}

asio::awaitable<std::optional<std::string>> Cell::answer(std::string method, std::string params) {
  if (!answers(method)) co_return std::nullopt;
  json::Value parsed = json::object({});
  if (!params.empty()) parsed = co_await parse(machine_.pool, std::move(params));
  if (parsed.is_null()) parsed = json::object({});
  if (is_of_files(method))
    co_return co_await answer_file_method(std::move(method), std::move(parsed));
  if (method == "logs") {
    std::size_t bytes = 0;
    for (const std::string& line : log_lines_) bytes += line.size();
    auto dump = [lines = logs(parsed)] { return json::dump(lines); };
    co_return co_await async::work_aside(machine_.pool, bytes, std::move(dump));
  }
  if (method == "metrics") co_return json::dump(metrics());
  auto ask = [method, parsed = std::move(parsed)](store::CellStore& store) {
    if (method != "journal") return dump_if_any(store::answer_db_method(store, method, parsed));
    json::Value entries = to_json(store.developer_log.entries());
    return std::optional(json::dump(json::object({{"entries", std::move(entries)}})));
  };
  co_return co_await with_store(std::move(ask));
}

asio::awaitable<std::string> Cell::answer_file_method(std::string method, json::Value params) {
  const json::Reader reader(params, "params");
  if (method == "list_files") {
    const std::string folder = reader.optional_string("path").value_or(".");
    reader.refuse_unknown();
    auto list = [this, folder] {
      json::Array files;
      const auto listing =
          work_->list(folder.empty() ? "." : folder, sys::Depth::all, kFilesListedMax);
      for (const sys::DirEntry& entry : listing.entries) {
        if (entry.stat.kind == sys::FileKind::file) files.emplace_back(entry.path);
      }
      return json::dump(json::object({{"files", std::move(files)}}));
    };
    const auto turn = co_await file_turns_.turn();
    require_open();
    co_return co_await async::offload(machine_.pool, std::move(list));
  }
  const std::string path = reader.required_string("path");
  if (method == "read_file") {
    reader.refuse_unknown();
    auto read = [this, path] {
      auto content = work_->read(path, kFileBytesMax);
      if (!content) {
        throw Error(ErrorCode::not_found, "file_not_found", "no file \"" + path + "\" in /work");
      }
      return json::dump(json::object({{"content", *std::move(content)}}));
    };
    const auto turn = co_await file_turns_.turn();
    require_open();
    co_return co_await async::offload(machine_.pool, std::move(read));
  }
  std::string text = reader.required_string("content");
  reader.refuse_unknown();
  co_await quota_.require_room(text.size());
  const sys::WriteOptions as_it_was;
  const FileConditions none;
  co_await files_->write(path, std::move(text), as_it_was, none);
  co_return R"({"ok":true})";
}

json::Value Cell::logs(const json::Value& params) const {
  const json::Reader reader(params, "params");
  const auto count =
      static_cast<std::size_t>(reader.optional_int("lines", 1, 100'000).value_or(kLogLinesShown));
  reader.refuse_unknown();
  const std::vector<std::string> lines = agent_output(count);
  return json::object({{"lines", json::Array(lines.begin(), lines.end())}});
}

std::vector<std::string> Cell::agent_output(std::size_t count_max) const {
  const auto count = static_cast<std::ptrdiff_t>(std::min(count_max, log_lines_.size()));
  return {log_lines_.end() - count, log_lines_.end()};
}

json::Value Cell::metrics() const {
  const auto up = std::chrono::steady_clock::now() - metrics_.since;
  const double busy_ms = std::chrono::duration<double, std::milli>(metrics_.busy).count();
  const double requests = static_cast<double>(std::max<std::uint64_t>(1, metrics_.requests));
  return json::object({{"requests", metrics_.requests},
                       {"errors", metrics_.errors},
                       {"avg_latency", busy_ms / requests},
                       {"uptime", std::chrono::duration_cast<std::chrono::seconds>(up).count()}});
}

}  // namespace cellar::cell
