// Folders below /work as tar archives, both ways piece by piece.

#include "api/conditions.h"
#include "api/files.h"
#include "async/pool.h"
#include "base/error.h"
#include "base/log.h"
#include "sys/tar_folder.h"

namespace cellar::api {
namespace {

// Of an archive that comes, at once.
constexpr std::size_t kBatchBytes = 256 << 10;
// Of it, as one job and one turn: a few long names are thousands of folders.
constexpr std::size_t kFeedBytes = 16 << 10;

}  // namespace

asio::awaitable<void> send_tar(const Call& call, std::string path) {
  const auto cell = call.cell();
  const auto activity = co_await cell->use("request", "files");
  // Shared with the jobs.
  auto begin = [cell, path] { return std::make_shared<sys::TarPacker>(cell->work().below(path)); };
  const auto packer = co_await async::offload(cell->pool(), std::move(begin));
  auto pack = [packer] { return packer->next(); };
  std::string piece = co_await async::offload(cell->pool(), pack);
  http::Response head;
  head.content_type = "application/x-tar";
  co_await call.exchange.start_stream(std::move(head));
  std::optional<std::string> failure;
  try {
    while (!piece.empty()) {
      co_await call.exchange.send(std::move(piece));
      piece = co_await async::offload(cell->pool(), pack);
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = error.what();
  }
  // Only an end of the connection tells the client, who has the head already, that this is not all.
  if (failure) {
    log::warning("{} an archive was given up: {}", log::request(call.request_id), *failure);
    throw Error(ErrorCode::canceled, *failure);
  }
  co_await call.exchange.finish();
}

asio::awaitable<void> take_tar(const Call& call, std::string path) {
  const auto cell = call.cell();
  refuse_conditions(call);
  sys::normalize_path(path);  // A bad path is told before a long body is read.
  const auto activity = co_await cell->use("request", "files");
  co_await cell->require_room(0);
  co_await cell->files().make_folder(path, 0755);
  auto begin = [cell, path] {
    auto unpacker =
        std::make_unique<sys::TarUnpacker>(cell->work().below(path), sys::TarUnpacker::Options());
    return cell::ended_by(cell->pool(), std::move(unpacker));
  };
  const auto unpacker = co_await async::offload(cell->pool(), std::move(begin));
  std::uint64_t entries_counted = 0;
  for (bool more = call.exchange.has_body(); more;) {
    std::string bytes;
    while (more && bytes.size() < kBatchBytes) {
      const std::string piece = co_await call.exchange.read_piece();
      more = !piece.empty();
      bytes += piece;
    }
    // What an archive holds is known only once it is unpacked: its files count with the next piece.
    for (std::size_t at = 0; at < bytes.size(); at += kFeedBytes) {
      std::string piece = bytes.substr(at, kFeedBytes);
      const std::uint64_t entries = unpacker->count().entries;
      co_await cell->require_room(piece.size(), entries - entries_counted);
      entries_counted = entries;
      co_await cell->files().feed(unpacker, std::move(piece));
    }
  }
  auto finish = [unpacker] { unpacker->finish(sys::Durable::yes); };
  co_await async::offload(cell->pool(), std::move(finish));
  json::Value answer = json::object(
      {{"ok", true}, {"files", unpacker->count().files}, {"bytes", unpacker->count().bytes}});
  co_await call.answer(std::move(answer));
}

}  // namespace cellar::api
