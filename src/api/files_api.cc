// Files below /work.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "api/api.h"
#include "api/conditions.h"
#include "api/errors.h"
#include "api/files.h"
#include "async/pool.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/file_tag.h"
#include "sys/positioned.h"

namespace cellar::api {
namespace {

constexpr std::size_t kEntriesMax = 10'000;
constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::size_t kAppendBodyMax = 16 << 20;  // It is in memory until it is whole.

// Reads a cell's files on the pool, in a turn of the cell.
template <typename Job>
asio::awaitable<std::invoke_result_t<Job&>> read_in_turn(cell::Cell& cell, Job job) {
  const auto turn = co_await cell.file_turns().turn();
  co_return co_await async::offload(cell.pool(), std::move(job));
}

asio::awaitable<void> list(const Call& call, std::string path) {
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  const sys::Depth depth = call.query_flag("recursive") ? sys::Depth::all : sys::Depth::one;
  auto read = [cell, path, depth] {
    const sys::Listing listing = cell->work().list(path, depth, kEntriesMax);
    return json::dump(entries_json(listing.entries, listing.truncated));
  };
  std::string text = co_await read_in_turn(*cell, std::move(read));
  co_await call.answer_text(std::move(text));
}

asio::awaitable<void> tell_stat(const Call& call, std::string path) {
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  auto look = [cell, path]() -> std::optional<json::Value> {
    const auto entry = cell->work().entry(path);
    if (!entry) return std::nullopt;
    json::Value stat = entry_json(*entry);
    if (entry->stat.kind != sys::FileKind::file) return stat;
    const auto file = cell->work().open_itself(path);
    if (file && file->fd) stat.as_object().set("etag", sys::tag_of(*file));
    return stat;
  };
  auto stat = co_await read_in_turn(*cell, std::move(look));
  if (!stat) throw no_such_file_in_work(path);
  co_await call.answer(std::move(*stat));
}

// A file that is open, with its tag. Of a small one all bytes were read: the tag is theirs.
struct TaggedFile {
  sys::OpenFile file;
  std::string tag;
  std::optional<std::string> bytes;
};

std::optional<TaggedFile> open_tagged(const sys::BeneathDir& work, const std::string& path) {
  auto file = work.open_read(path);
  if (!file) return std::nullopt;
  TaggedFile tagged{.file = std::move(*file), .tag = {}, .bytes = {}};
  if (tagged.file.stat.size_bytes > sys::kDigestedBytesMax) {
    tagged.tag = sys::tag_of(tagged.file);
  } else {
    tagged.bytes = sys::read_at(tagged.file.fd.get(), 0, sys::kDigestedBytesMax, path);
    tagged.tag = sys::digest_tag(*tagged.bytes);
  }
  return tagged;
}

asio::awaitable<TaggedFile> open_for(std::shared_ptr<cell::Cell> cell, std::string path) {
  auto open = [cell, path] { return open_tagged(cell->work(), path); };
  auto found = co_await read_in_turn(*cell, open);
  if (found && sys::is_weak(found->tag)) {
    co_await async::sleep_for(sys::kClockGrain);  // Its tag is strong then, if nobody writes.
    found = co_await read_in_turn(*cell, open);
  }
  if (!found) throw no_such_file_in_work(path);
  co_return std::move(*found);
}

// What a read is answered with.
struct Part {
  int status = 200;
  std::uint64_t size = 0;  // of the whole file
  ByteRange range;         // the bytes that are sent: none where `length` is 0
  std::uint64_t length = 0;
  http::Fields fields;
};

Part part_of(const http::Request& request, const TaggedFile& found) {
  Part part;
  part.size = found.bytes ? found.bytes->size() : found.file.stat.size_bytes;
  const WallTime changed = from_unix_ms(found.file.stat.mtime_ns / 1'000'000);
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(changed);
  part.fields = {{"ETag", found.tag},
                 {"Last-Modified", fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", seconds)},
                 {"Cache-Control", "no-cache"},
                 {"Accept-Ranges", "bytes"}};
  const std::string* known = request.header("if-none-match");
  if (known != nullptr && names_tag(*known, found.tag)) {
    part.status = 304;
    return part;
  }
  const std::string* field = request.header("range");
  const std::string* only_if = request.header("if-range");
  const bool is_it = only_if == nullptr || (*only_if == found.tag && !sys::is_weak(found.tag));
  const AskedRange asked =
      field != nullptr && is_it ? parse_range(*field, part.size) : AskedRange();
  part.length = part.size;
  if (asked.is == RangeIs::part) {
    part.status = 206;
    part.range = asked.part;
    part.length = asked.part.last - asked.part.first + 1;
    part.fields.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", part.range.first,
                                                          part.range.last, part.size));
  } else if (asked.is == RangeIs::unsatisfiable) {
    part.status = 416;
    part.fields.emplace_back("Content-Range", fmt::format("bytes */{}", part.size));
  }
  return part;
}

asio::awaitable<void> send_large(const Call& call, cell::Cell& cell, const sys::OpenFile& file,
                                 Part part) {
  http::ForeignHead head;
  head.status = part.status;
  head.length = part.length;
  head.fields = std::move(part.fields);
  head.fields.emplace_back("Content-Type", "application/octet-stream");
  co_await call.exchange.start_foreign(std::move(head));
  const bool has_body = call.exchange.request().method != "HEAD";
  const std::uint64_t end = has_body ? part.range.first + part.length : 0;
  const int fd = file.fd.get();
  for (std::uint64_t at = part.range.first; at < end;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, end - at));
    auto read = [fd, at, wanted] { return sys::read_at(fd, at, wanted, "a file"); };
    std::string bytes = co_await read_in_turn(cell, read);
    // The head has told its length: only an end of the connection says that this is not all.
    if (bytes.empty()) throw Error(ErrorCode::canceled, "the file became shorter meanwhile");
    at += bytes.size();
    co_await call.exchange.send(std::move(bytes));
  }
  co_await call.exchange.finish();
}

asio::awaitable<void> send_file(const Call& call, std::string path) {
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  TaggedFile found = co_await open_for(cell, path);
  cell::FileConditions conditions = conditions_of(call.exchange.request());
  conditions.none_match.reset();  // 304 says it.
  require(conditions, path, found.tag);
  Part part = part_of(call.exchange.request(), found);
  http::Response response;
  if (part.status == 416) {
    response = error_response(
        Error(ErrorCode::invalid_argument, "range_not_satisfiable",
              fmt::format("file \"{}\" has {} bytes, and none of those", path, part.size)),
        call.request_id);
  } else if (part.status != 304 && !found.bytes) {
    co_await send_large(call, *cell, found.file, std::move(part));
    co_return;
  } else if (part.status != 304) {
    response.content_type = "application/octet-stream";
    response.body = found.bytes->substr(part.range.first, part.length);
  }
  response.status = part.status;
  std::move(part.fields.begin(), part.fields.end(), std::back_inserter(response.headers));
  co_await call.exchange.respond(std::move(response));
}

asio::awaitable<void> read_at_path(const Call& call, std::string path) {
  const bool is_stream = call.query_flag("tar") || call.query_flag("watch");
  if (is_stream && call.exchange.request().method == "HEAD") {
    throw Error(ErrorCode::invalid_argument, "invalid_query",
                "HEAD is for a file: an archive and a watch have no length", "use GET");
  }
  if (call.query_flag("list")) {
    co_await list(call, std::move(path));
  } else if (call.query_flag("stat")) {
    co_await tell_stat(call, std::move(path));
  } else if (call.query_flag("tar")) {
    co_await send_tar(call, std::move(path));
  } else if (call.query_flag("watch")) {
    co_await watch_files(call, std::move(path));
  } else {
    co_await send_file(call, std::move(path));
  }
}

asio::awaitable<void> read(const Call& call) {
  std::string path = call.params.at("path");
  std::optional<Error> failure;
  try {
    co_await read_at_path(call, path);
  } catch (const Error& error) {
    const bool is_told = error.reason() != "not_a_file" && error.reason() != "not_found";
    if (is_told || call.exchange.has_answered()) throw;
    failure = error;
  }
  if (!failure) co_return;
  if (failure->code() == ErrorCode::not_found) throw no_such_file_in_work(path);
  throw Error(failure->code(), failure->reason(), failure->what(),
              "of a folder, list=1 gives the names, tar=1 all that is in it");
}

// The body in pieces, counted.
class Body {
 public:
  Body(const Call& call, std::size_t bytes_max)
      : call_(call), has_more_(call.exchange.has_body()), bytes_max_(bytes_max) {
    const std::string* field = call.exchange.request().header("content-length");
    if (field != nullptr) announced_ = parse_int(*field);
    if (announced_.value_or(0) > static_cast<std::int64_t>(bytes_max)) refuse();
  }

  std::uint64_t announced() const { return static_cast<std::uint64_t>(announced_.value_or(0)); }
  bool has_more() const noexcept { return has_more_; }

  // Some kPieceBytes; fewer at the end only.
  asio::awaitable<std::string> next() {
    std::string bytes;
    while (has_more_ && bytes.size() < kPieceBytes) {
      const std::string piece = co_await call_.exchange.read_piece();
      has_more_ = !piece.empty();
      count_ += piece.size();
      if (count_ > bytes_max_) refuse();
      bytes += piece;
    }
    co_return bytes;
  }

 private:
  [[noreturn]] void refuse() const {
    throw Error(ErrorCode::too_large, "body_too_large",
                "the body is larger than " + std::to_string(bytes_max_) + " bytes",
                "send it as an archive (tar=1), which has no such limit");
  }

  const Call& call_;
  bool has_more_;
  std::size_t bytes_max_;
  std::optional<std::int64_t> announced_;
  std::uint64_t count_ = 0;
};

asio::awaitable<void> answer_written(const Call& call, cell::WorkFiles::Written written) {
  json::Value answer = json::object({{"ok", true}, {"size", written.size_bytes}});
  http::Response response;
  if (!written.tag.empty()) {
    answer.as_object().set("etag", written.tag);
    response.headers.emplace_back("ETag", written.tag);
  }
  response.body = json::dump(answer);
  co_await call.exchange.respond(std::move(response));
}

asio::awaitable<cell::WorkFiles::Written> write_body(const Call& call, cell::Cell& cell,
                                                     std::string path, sys::WriteOptions options) {
  const cell::FileConditions conditions = conditions_of(call.exchange.request());
  Body body(call, kFileBodyMax);
  co_await cell.require_room(body.announced());
  std::string bytes = co_await body.next();
  if (!body.has_more()) {
    if (body.announced() == 0) co_await cell.require_room(bytes.size(), 0);
    co_return co_await cell.files().write(std::move(path), std::move(bytes), options, conditions);
  }
  const auto file = co_await cell.files().begin(path, options);
  while (!bytes.empty()) {
    if (body.announced() == 0) co_await cell.require_room(bytes.size(), 0);
    co_await cell.files().add(file, std::move(bytes));
    bytes = co_await body.next();
  }
  co_return co_await cell.files().commit(file, std::move(path), conditions);
}

asio::awaitable<void> write(const Call& call) {
  std::string path = call.params.at("path");
  if (call.query_flag("tar")) {
    co_await take_tar(call, std::move(path));
    co_return;
  }
  if (path.ends_with('/')) {
    throw Error(ErrorCode::invalid_argument, "invalid_path",
                "path '" + path + "' names a folder, and a file is to be written",
                "POST …/files/mkdir makes a folder, tar=1 unpacks an archive in it");
  }
  const auto cell = call.cell();
  sys::normalize_path(path);  // A bad path is told before a long body is read.
  sys::WriteOptions options;
  if (const auto mode = call.exchange.request().query_value("mode")) {
    options.mode = parse_mode(*mode, "invalid_query");
  }
  const bool appends = call.query_flag("append");
  const auto activity = co_await cell->use("request", "files");
  cell::WorkFiles::Written written;
  if (appends) {
    std::string bytes;
    if (call.exchange.has_body()) bytes = co_await call.exchange.read_body(kAppendBodyMax);
    co_await cell->require_room(bytes.size());
    cell::FileConditions conditions = conditions_of(call.exchange.request());
    written = co_await cell->files().append(std::move(path), std::move(bytes), options,
                                            std::move(conditions));
  } else {
    written = co_await write_body(call, *cell, std::move(path), options);
  }
  co_await answer_written(call, std::move(written));
}

asio::awaitable<void> remove(const Call& call) {
  std::string path = call.params.at("path");
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  cell::FileConditions conditions = conditions_of(call.exchange.request());
  const bool removed = co_await cell->files().remove(path, std::move(conditions));
  if (!removed) throw no_such_file_in_work(path);
  co_await call.answer_nothing();
}

// /work itself: a list, unless something else is asked for.
asio::awaitable<void> read_root(const Call& call) {
  std::string root = ".";
  const bool is_listed =
      !call.query_flag("stat") && !call.query_flag("tar") && !call.query_flag("watch");
  if (is_listed) {
    co_await list(call, std::move(root));
  } else {
    co_await read_at_path(call, std::move(root));
  }
}

asio::awaitable<void> write_root(const Call& call) {
  if (!call.query_flag("tar")) {
    throw Error(ErrorCode::invalid_argument, "invalid_path",
                "the path is empty, and a file is to be written",
                "name it behind …/files/; tar=1 unpacks an archive in /work");
  }
  std::string root = ".";
  co_await take_tar(call, std::move(root));
}

}  // namespace

std::string_view file_type(sys::FileKind kind) noexcept {
  switch (kind) {
    case sys::FileKind::file:
      return "file";
    case sys::FileKind::directory:
      return "directory";
    case sys::FileKind::symlink:
      return "symlink";
    case sys::FileKind::special:
      return "other";
  }
  return "other";
}

json::Value entry_json(const sys::DirEntry& entry) {
  json::Value value =
      json::object({{"path", entry.path},
                    {"type", file_type(entry.stat.kind)},
                    {"size", entry.stat.size_bytes},
                    {"mtime", to_iso8601(from_unix_ms(entry.stat.mtime_ns / 1'000'000))},
                    {"mode", fmt::format("{:04o}", entry.stat.mode)}});
  if (!entry.target.empty()) value.as_object().set("target", entry.target);
  return value;
}

json::Value entries_json(const std::vector<sys::DirEntry>& entries, bool is_truncated) {
  json::Array files;
  for (const sys::DirEntry& entry : entries) files.push_back(entry_json(entry));
  json::Value value = json::object({{"files", std::move(files)}});
  if (is_truncated) value.as_object().set("truncated", true);
  return value;
}

mode_t parse_mode(const std::string& text, const std::string& reason) {
  constexpr std::size_t kDigitsMax = 4;
  mode_t mode = 0;
  bool is_octal = !text.empty() && text.size() <= kDigitsMax;
  for (const char c : text) {
    is_octal = is_octal && c >= '0' && c <= '7';
    mode = mode << 3 | static_cast<mode_t>(c - '0');
  }
  if (!is_octal || mode > 0777) {
    throw Error(ErrorCode::invalid_argument, reason,
                "\"mode\" must be permissions as octal digits from 0 to 777, such as 644");
  }
  return mode;
}

Error no_such_file_in_work(const std::string& path) {
  return Error(ErrorCode::not_found, "file_not_found", "no file \"" + path + "\" in /work");
}

std::vector<Route> file_routes() {
  const std::string root = "/api/v1/cells/{id}/files";
  const std::string path = root + "/{path...}";
  return {{"GET", root, read_root},
          {"GET", root + "/", read_root},
          {"PUT", root, write_root},
          {"PUT", root + "/", write_root},
          {"GET", path, read},
          {"HEAD", path, read},
          {"PUT", path, write},
          {"DELETE", path, remove},
          {"POST", root + "/rename", rename_file},
          {"POST", root + "/mkdir", make_folder},
          {"POST", root + "/chmod", set_file_mode},
          {"POST", root + "/glob", glob_files, cell::Scope::read},
          {"POST", root + "/grep", grep_files, cell::Scope::read}};
}

}  // namespace cellar::api
