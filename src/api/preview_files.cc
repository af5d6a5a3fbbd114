#include "api/preview_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/conditions.h"
#include "base/error.h"
#include "base/text.h"
#include "sys/positioned.h"

namespace cellar::api {
namespace {

constexpr std::size_t kFilePieceBytes = 256 << 10;
constexpr std::string_view kIndex = "index.html";

using TypeOf = std::pair<std::string_view, std::string_view>;
constexpr std::array kTypes = {
    TypeOf{"avif", "image/avif"},
    TypeOf{"css", "text/css; charset=utf-8"},
    TypeOf{"csv", "text/csv; charset=utf-8"},
    TypeOf{"gif", "image/gif"},
    TypeOf{"htm", "text/html; charset=utf-8"},
    TypeOf{"html", "text/html; charset=utf-8"},
    TypeOf{"ico", "image/x-icon"},
    TypeOf{"jpeg", "image/jpeg"},
    TypeOf{"jpg", "image/jpeg"},
    TypeOf{"js", "text/javascript; charset=utf-8"},
    TypeOf{"json", "application/json"},
    TypeOf{"map", "application/json"},
    TypeOf{"md", "text/markdown; charset=utf-8"},
    TypeOf{"mjs", "text/javascript; charset=utf-8"},
    TypeOf{"mp3", "audio/mpeg"},
    TypeOf{"mp4", "video/mp4"},
    TypeOf{"ogg", "audio/ogg"},
    TypeOf{"otf", "font/otf"},
    TypeOf{"pdf", "application/pdf"},
    TypeOf{"png", "image/png"},
    TypeOf{"svg", "image/svg+xml"},
    TypeOf{"ttf", "font/ttf"},
    TypeOf{"txt", "text/plain; charset=utf-8"},
    TypeOf{"wasm", "application/wasm"},
    TypeOf{"wav", "audio/wav"},
    TypeOf{"webm", "video/webm"},
    TypeOf{"webmanifest", "application/manifest+json"},
    TypeOf{"webp", "image/webp"},
    TypeOf{"woff", "font/woff"},
    TypeOf{"woff2", "font/woff2"},
    TypeOf{"xml", "application/xml"},
};

Error no_such_file(const std::string& path) {
  return Error(ErrorCode::not_found, "file_not_found",
               "nothing listens in the cell, and there is no file \"" + path + "\" in /work",
               "start a server in the cell, or write the file");
}

std::string tag_of(const sys::FileStat& stat) {
  return fmt::format("\"{:x}-{:x}-{:x}\"", stat.inode, stat.size_bytes, stat.mtime_ns);
}

// What is at a path: an open file, or a folder whose address lacks its "/".
struct Found {
  std::optional<sys::OpenFile> file;
  bool is_folder = false;
};

Found find(const sys::BeneathDir& work, const std::string& path) {
  try {
    const auto stat = work.stat(path);
    if (!stat) return {};
    if (stat->kind == sys::FileKind::directory) return {.file = {}, .is_folder = true};
    if (stat->kind != sys::FileKind::file) return {};
    return {.file = work.open_read(path), .is_folder = false};
  } catch (const Error& error) {
    // A path that leads outside or through a file is no file, like any other.
    if (error.code() == ErrorCode::invalid_argument) return {};
    throw;
  }
}

asio::awaitable<void> send_part(http::Exchange& exchange, cell::Cell& cell,
                                const sys::OpenFile& file, ByteRange part) {
  const int fd = file.fd.get();
  for (std::uint64_t at = part.first; at <= part.last;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(kFilePieceBytes, part.last + 1 - at));
    auto read = [fd, at, wanted] { return sys::read_at(fd, at, wanted, "a file"); };
    std::string bytes = co_await async::offload(cell.pool(), read);
    if (bytes.empty()) throw Error(ErrorCode::canceled, "the file became shorter meanwhile");
    at += bytes.size();
    co_await exchange.send(std::move(bytes));
  }
}

asio::awaitable<void> send_found(http::Exchange& exchange, cell::Cell& cell, sys::OpenFile file,
                                 http::ForeignHead head) {
  const http::Request& request = exchange.request();
  const std::uint64_t size = file.stat.size_bytes;
  const std::string tag = tag_of(file.stat);
  head.fields.emplace_back("ETag", tag);
  head.fields.emplace_back("Cache-Control", "no-cache");
  head.fields.emplace_back("Accept-Ranges", "bytes");
  const std::string* known = request.header("if-none-match");
  if (known != nullptr && names_tag(*known, tag)) {
    head.status = 304;
    co_await exchange.start_foreign(std::move(head));
    co_await exchange.finish();
    co_return;
  }
  const std::string* range = request.header("range");
  const std::string* only_if = request.header("if-range");
  const bool counts = range != nullptr && (only_if == nullptr || *only_if == tag);
  const AskedRange asked = counts ? parse_range(*range, size) : AskedRange();
  ByteRange part{0, size == 0 ? 0 : size - 1};
  head.length = size;
  if (asked.is == RangeIs::part) {
    part = asked.part;
    head.status = 206;
    head.length = part.last - part.first + 1;
    head.fields.emplace_back("Content-Range",
                             fmt::format("bytes {}-{}/{}", part.first, part.last, size));
  } else if (asked.is == RangeIs::unsatisfiable) {
    head.status = 416;
    head.length = 0;
    head.fields.emplace_back("Content-Range", fmt::format("bytes */{}", size));
  }
  const bool has_body = request.method == "GET" && *head.length > 0;
  co_await exchange.start_foreign(std::move(head));
  if (has_body) co_await send_part(exchange, cell, file, part);
  co_await exchange.finish();
}

}  // namespace

std::string_view content_type_of(std::string_view path) noexcept {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  const std::string extension =
      dot == name.npos ? std::string() : to_lower_ascii(name.substr(dot + 1));
  for (const auto& [known, type] : kTypes) {
    if (known == extension) return type;
  }
  return "application/octet-stream";
}

bool is_hidden(std::string_view path) noexcept {
  for (const std::string_view name : split(path, '/')) {
    if (name.starts_with(".") && name != ".well-known") return true;
  }
  return false;
}

asio::awaitable<void> send_work_file(http::Exchange& exchange, std::shared_ptr<cell::Cell> cell,
                                     std::string prefix, std::string path, http::Fields fields) {
  const std::string& method = exchange.request().method;
  if (method != "GET" && method != "HEAD") {
    throw Error(ErrorCode::invalid_argument, "method_not_allowed",
                "nothing listens in the cell, and files take only GET and HEAD",
                "start a server in the cell");
  }
  const auto decoded = http::decode_percent(path);
  std::string file_path = decoded ? decoded->substr(1) : std::string();
  if (!decoded || is_hidden(file_path) || file_path.find('\0') != file_path.npos) {
    throw no_such_file(path);
  }
  if (file_path.empty() || file_path.ends_with("/")) file_path += kIndex;
  auto look = [cell, file_path] { return find(cell->work(), file_path); };
  Found found = co_await async::offload(cell->pool(), std::move(look));
  http::ForeignHead head;
  head.fields = std::move(fields);
  if (found.is_folder) {
    head.status = 308;
    head.length = 0;
    // One "/": two would name another host.
    const std::size_t start = std::min(path.find_first_not_of('/'), path.size());
    head.fields.emplace_back("Location", prefix + "/" + path.substr(start) + "/");
    co_await exchange.start_foreign(std::move(head));
    co_await exchange.finish();
    co_return;
  }
  if (!found.file) throw no_such_file(path);
  head.fields.emplace_back("Content-Type", std::string(content_type_of(file_path)));
  co_await send_found(exchange, *cell, std::move(*found.file), std::move(head));
}

}  // namespace cellar::api
