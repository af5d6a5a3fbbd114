// Files below /work.

#include "api/api.h"
#include "async/pool.h"
#include "base/error.h"
#include "json/value.h"
#include "sys/positioned.h"

namespace cellar::api {
namespace {

constexpr std::size_t kEntriesMax = 10'000;
constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::size_t kWholeBytesMax = 4 << 20;  // Larger files are sent piece by piece.

std::string_view type_of(sys::FileKind kind) noexcept {
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
  return json::object({{"path", entry.path},
                       {"type", type_of(entry.stat.kind)},
                       {"size", entry.stat.size_bytes},
                       {"mtime", to_iso8601(from_unix_ms(entry.stat.mtime_ns / 1'000'000))}});
}

Error missing(const std::string& path) {
  return Error(ErrorCode::not_found, "file_not_found", "no file \"" + path + "\" in /work");
}

asio::awaitable<void> list(const Call& call, std::string path) {
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  const sys::Depth depth = call.query_flag("recursive") ? sys::Depth::all : sys::Depth::one;
  auto read = [cell, path, depth] { return cell->work().list(path, depth, kEntriesMax); };
  const sys::Listing listing = co_await async::offload(cell->pool(), std::move(read));
  json::Array files;
  for (const sys::DirEntry& entry : listing.entries) files.push_back(entry_json(entry));
  json::Value answer = json::object({{"files", std::move(files)}});
  if (listing.truncated) answer.as_object().set("truncated", true);
  co_await call.answer(std::move(answer));
}

asio::awaitable<void> send_file(const Call& call, cell::Cell& cell, const sys::OpenFile& file) {
  http::Response head;
  head.content_type = "application/octet-stream";
  const std::size_t size = file.stat.size_bytes;
  const int fd = file.fd.get();
  const bool whole = size <= kWholeBytesMax;
  if (!whole) co_await call.exchange.start_stream(head);
  for (std::size_t at = 0; at < size || whole;) {
    const std::size_t wanted = whole ? size : std::min(kPieceBytes, size - at);
    auto read = [fd, at, wanted] { return sys::read_at(fd, at, wanted, "a file"); };
    std::string bytes = co_await async::offload(cell.pool(), read);
    at += bytes.size();
    if (whole) {
      head.body = std::move(bytes);
      co_await call.exchange.respond(std::move(head));
      co_return;
    }
    if (bytes.empty()) break;  // It became shorter meanwhile.
    co_await call.exchange.send(std::move(bytes));
  }
  co_await call.exchange.finish();
}

asio::awaitable<void> read(const Call& call) {
  const std::string path = call.params.at("path");
  if (call.query_flag("list")) {
    co_await list(call, path);
    co_return;
  }
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  auto open = [cell, path] { return cell->work().open_read(path); };
  const auto file = co_await async::offload(cell->pool(), std::move(open));
  if (!file) throw missing(path);
  co_await send_file(call, *cell, *file);
}

asio::awaitable<void> write(const Call& call) {
  const std::string path = call.params.at("path");
  const auto cell = call.cell();
  sys::normalize_path(path);  // A bad path is told before a long body is read.
  const auto activity = co_await cell->use("request", "files");
  std::string bytes;
  if (call.exchange.has_body()) bytes = co_await call.exchange.read_body(kFileBodyMax);
  co_await cell->require_room(bytes.size());
  auto put = [cell, path, bytes = std::move(bytes)] {
    cell->work().write_atomic(path, bytes);
    return true;
  };
  co_await async::offload(cell->pool(), std::move(put));
  json::Value ok = json::object({{"ok", true}});
  co_await call.answer(std::move(ok));
}

asio::awaitable<void> remove(const Call& call) {
  const std::string path = call.params.at("path");
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  auto erase = [cell, path] { return cell->work().remove(path); };
  const bool removed = co_await async::offload(cell->pool(), std::move(erase));
  if (!removed) throw missing(path);
  co_await call.answer_nothing();
}

asio::awaitable<void> list_root(const Call& call) {
  std::string root = ".";
  co_await list(call, std::move(root));
}

}  // namespace

std::vector<Route> file_routes() {
  return {{"GET", "/api/v1/cells/{id}/files", list_root},
          {"GET", "/api/v1/cells/{id}/files/{path...}", read},
          {"PUT", "/api/v1/cells/{id}/files/{path...}", write},
          {"DELETE", "/api/v1/cells/{id}/files/{path...}", remove}};
}

}  // namespace cellar::api
