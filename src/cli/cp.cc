#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/file_archive.h"
#include "cli/local_file.h"
#include "sys/beneath.h"
#include "sys/file.h"
#include "sys/tar_folder.h"

namespace cellar::cli {
namespace {

namespace fs = std::filesystem;

// One side of the copy. A remote path is relative to the cell's /work; empty means /work itself.
struct Side {
  std::string cell_id;  // empty: local
  std::string path;
  bool is_folder = false;  // named as one, by a slash at its end
};

// "ID:/PATH" is remote. A local path with a colon can be written as ./a:b.
Side side_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  Side side;
  side.is_folder = text.ends_with('/');
  if (colon == text.npos || colon == 0 || text.find('/') < colon) {
    side.path = text;
    return side;
  }
  side.cell_id = text.substr(0, colon);
  side.path = text.substr(colon + 1);
  while (side.path.starts_with('/')) side.path.erase(0, 1);
  while (side.path.ends_with('/')) side.path.pop_back();
  side.is_folder = side.is_folder || side.path.empty();
  return side;
}

std::string files_path(const Side& side, std::string_view below = {}) {
  std::string path = side.path;
  if (!path.empty() && !below.empty()) path += '/';
  path += below;
  return cell_path(side.cell_id, path.empty() ? "/files" : "/files/" + encode_path(path));
}

class Copier {
 public:
  explicit Copier(Context& context) : context_(context) {}

  void upload(const fs::path& from, const Side& to) {
    if (fs::is_directory(from)) {
      upload_folder(from, to);
    } else if (fs::is_regular_file(from)) {
      upload_file(from, to);
    } else if (fs::exists(from)) {  // To read a pipe could take for ever.
      throw Error(ErrorCode::invalid_argument, "not a file or folder: " + from.string());
    } else {
      throw Error(ErrorCode::not_found, "no such file: " + from.string());
    }
  }

  void download(const Side& from, const Side& to) {
    std::optional<Error> refusal;
    if (!from.is_folder) refusal = try_download_file(from, to);
    if (from.is_folder || refusal) download_folder(from, to.path, refusal);
  }

  std::size_t file_count() const noexcept { return file_count_; }

 private:
  void put(const fs::path& from, const std::string& path) {
    // What can be run here can be run there; else a file keeps what it has.
    const std::string query = is_executable(from) ? "?mode=755" : "";
    const Request request{.method = "PUT",
                          .path = path + query,
                          .headers = {"Content-Type: application/octet-stream"},
                          .body_file = from.string()};
    context_.api.send(request);
    ++file_count_;
  }

  // As an archive, of any size.
  void put_large(const fs::path& from, const Side& to) {
    Side folder = to;
    std::string name = from.filename().string();
    std::uint32_t mode = is_executable(from) ? 0755 : 0644;
    const json::Value there = to.is_folder ? json::Value() : stat_of(to);
    if (!to.is_folder && column(there, "type") != "directory") {
      const std::size_t slash = to.path.rfind('/');
      name = to.path.substr(slash == to.path.npos ? 0 : slash + 1);
      folder.path.resize(slash == to.path.npos ? 0 : slash);
      const bool keeps = column(there, "type") == "file" && !is_executable(from);
      if (keeps) mode = static_cast<std::uint32_t>(std::stoul(column(there, "mode"), nullptr, 8));
    }
    FileArchive archive(from.string(), name, mode);
    send_archive(folder, archive);
    ++file_count_;
  }

  // Null where nothing is there.
  json::Value stat_of(const Side& side) {
    try {
      return context_.api.get(files_path(side) + "?stat=1");
    } catch (const Error& error) {  // An answer like any other here.
      if (error.code() != ErrorCode::not_found) throw;
      return {};
    }
  }

  template <typename Archive>
  void send_archive(const Side& to, Archive& archive) {
    const auto next = [&] {
      show_progress(archive.count());
      return archive.next();
    };
    const Request request{.method = "PUT",
                          .path = files_path(to) + "?tar=1",
                          .headers = {"Content-Type: application/x-tar"},
                          .body_source = next};
    context_.api.send(request);
    end_progress();
  }

  void upload_file(const fs::path& from, const Side& to) {
    if (fs::file_size(from) > kFileBytesMax) return put_large(from, to);
    const std::string name = from.filename().string();
    try {
      put(from, files_path(to, to.is_folder ? name : ""));
    } catch (const Error& error) {  // A folder, which only the daemon knew.
      if (to.is_folder || error.reason() != "not_a_file") throw;
      put(from, files_path(to, name));
    }
  }

  void upload_folder(const fs::path& from, const Side& to) {
    const auto note = [&](const std::string& path) { left_out((from / path).string()); };
    sys::TarPacker packer(sys::BeneathDir(fs::canonical(from).string()), note);
    send_archive(to, packer);
    file_count_ += packer.count().files;
  }

  void left_out(const std::string& path) {
    context_.output.note("left out, no file or folder: " + path);
  }

  static bool is_executable(const fs::path& path) {
    return (fs::status(path).permissions() & fs::perms::owner_exec) != fs::perms::none;
  }

  // To a person who waits.
  void show_progress(const sys::TarCount& count) {
    const bool is_seen =
        context_.output.look() == Look::terminal && context_.output.format() == Format::text;
    const auto now = std::chrono::steady_clock::now();
    if (!is_seen || now < progress_due_) return;
    progress_due_ = now + kProgressPause;
    has_progress_ = true;
    context_.output.write_error(fmt::format("\r{} files, {:.1f} MiB", count.files,
                                            static_cast<double>(count.bytes) / (1 << 20)));
  }

  void end_progress() {
    if (std::exchange(has_progress_, false)) context_.output.write_error("\r\x1b[K");
  }

  // Writes the bytes of a remote file to `to` as they come.
  void get(const Side& from, const fs::path& to) {
    const std::string path = files_path(from);
    std::optional<LocalFile> file;
    const auto open = [&] {
      if (!file) file.emplace(to);
    };
    const Request request{.path = path};
    context_.api.stream(request, [&](const Response&, std::string_view bytes) {
      open();
      file->write(bytes);
      return Flow::go_on;
    });
    open();  // of an empty file, too
    const json::Value stat = file->is_file() ? context_.api.get(path + "?stat=1") : json::Value();
    file->finish();
    const std::string mode = column(stat, "mode");
    const bool is_run =
        column(stat, "type") == "file" && mode.size() == 4 && ((mode[1] - '0') & 1) != 0;
    if (is_run) file->make_executable();
    ++file_count_;
  }

  // Gives what the daemon says where it is no file.
  std::optional<Error> try_download_file(const Side& from, const Side& to) {
    fs::path target = to.path;
    if (to.is_folder) sys::make_dirs(to.path, 0755);
    if (fs::is_directory(target)) target /= fs::path(from.path).filename();
    try {
      get(from, target);
      return std::nullopt;
    } catch (const Error& error) {  // A folder, or nothing that can be copied.
      if (error.reason() != "not_a_file") throw;
      return error;
    }
  }

  void download_folder(const Side& from, const fs::path& to, const std::optional<Error>& refusal) {
    std::optional<sys::TarUnpacker> unpacker;
    sys::TarUnpacker::Options options;
    options.links = sys::TarUnpacker::Links::inside;
    options.on_left_out = [&](const std::string& path) { left_out(from.path + "/" + path); };
    const Request request{.path = files_path(from) + "?tar=1"};
    try {
      context_.api.stream(request, [&](const Response&, std::string_view bytes) {
        if (!unpacker) {  // Now it is known that there is a folder.
          sys::make_dirs(to.string(), 0755);
          unpacker.emplace(sys::BeneathDir(fs::canonical(to).string()), options);
        }
        unpacker->feed(bytes);
        show_progress(unpacker->count());
        return Flow::go_on;
      });
    } catch (const Error& error) {  // A pipe or a device: what was said first is what is wrong.
      if (refusal && error.reason() == "not_a_directory") throw *refusal;
      throw;
    }
    end_progress();
    if (!unpacker) throw Error(ErrorCode::internal, "the daemon's answer holds no archive");
    unpacker->finish(sys::Durable::no);
    file_count_ += unpacker->count().files;
  }

  static constexpr std::chrono::milliseconds kProgressPause{200};

  Context& context_;
  std::size_t file_count_ = 0;
  bool has_progress_ = false;
  std::chrono::steady_clock::time_point progress_due_;
};

}  // namespace

int run(const Copy& command, Context& context) {
  const Side from = side_of(command.source);
  const Side to = side_of(command.destination);
  if (from.cell_id.empty() == to.cell_id.empty()) {
    throw Error(ErrorCode::invalid_argument, "usage",
                "one of SRC and DST must be in a cell, and the other one here",
                "a path in a cell is ID:/PATH");
  }
  Copier copier(context);
  if (from.cell_id.empty()) {
    copier.upload(from.path, to);
  } else {
    copier.download(from, to);
  }
  if (context.output.format() == Format::json) {
    context.output.json(json::object({{"files", copier.file_count()}}));
  }
  return 0;
}

}  // namespace cellar::cli
