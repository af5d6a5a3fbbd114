#include <fcntl.h>

#include <filesystem>

#include "base/error.h"
#include "cli/commands.h"
#include "sys/beneath.h"
#include "sys/file.h"

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
    } else if (fs::exists(from)) {
      upload_file(from, to);
    } else {
      throw Error(ErrorCode::not_found, "no such file: " + from.string());
    }
  }

  void download(const Side& from, const Side& to) {
    if (!from.is_folder && try_download_file(from, to)) return;
    download_folder(from, to.path);
  }

  std::size_t file_count() const noexcept { return file_count_; }

 private:
  void put(const fs::path& from, const std::string& path) {
    const Request request{.method = "PUT",
                          .path = path,
                          .headers = {"Content-Type: application/octet-stream"},
                          .body_file = from.string()};
    context_.api.send(request);
    ++file_count_;
  }

  void upload_file(const fs::path& from, const Side& to) {
    const std::string name = from.filename().string();
    try {
      put(from, files_path(to, to.is_folder ? name : ""));
    } catch (const Error& error) {  // Probably a folder, which only the daemon knew.
      if (to.is_folder || error.code() != ErrorCode::invalid_argument) throw;
      put(from, files_path(to, name));
    }
    if (is_executable(from)) mark_executable(to, {to.is_folder ? name : ""});
  }

  void upload_folder(const fs::path& from, const Side& to) {
    std::vector<std::string> executables;
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      const std::string below = entry.path().lexically_relative(from).generic_string();
      if (entry.is_symlink() || (!entry.is_regular_file() && !entry.is_directory())) {
        context_.output.note("left out, no file or folder: " + entry.path().string());
      } else if (entry.is_regular_file()) {
        put(entry.path(), files_path(to, below));
        if (is_executable(entry.path())) executables.push_back(below);
      }
    }
    mark_executable(to, executables);
  }

  static bool is_executable(const fs::path& path) {
    return (fs::status(path).permissions() & fs::perms::owner_exec) != fs::perms::none;
  }

  // Files come to the cell with mode 0644: what can be run here must be there, too.
  void mark_executable(const Side& to, const std::vector<std::string>& below) {
    constexpr std::size_t kBatch = 500;
    for (std::size_t from = 0; from < below.size(); from += kBatch) {
      json::Array command = {"chmod", "+x", "--"};
      for (std::size_t i = from; i < std::min(from + kBatch, below.size()); ++i) {
        std::string path = "/work/" + to.path;
        if (!below[i].empty()) path += (path.ends_with('/') ? "" : "/") + below[i];
        command.push_back(path);
      }
      const json::Value body = json::object({{"cmd", std::move(command)}});
      const json::Value result = context_.api.post(cell_path(to.cell_id, "/exec"), body);
      if (column(result, "exit_code") != "0") {
        context_.output.note("not made executable: " + column(result, "stderr"));
      }
    }
  }

  // Writes the bytes of a remote file to `to` as they come.
  void get(const std::string& path, const fs::path& to) {
    sys::Fd file;
    const auto open = [&] {
      if (!file) file = sys::open_file(to.string(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    };
    const Request request{.path = path};
    context_.api.stream(request, [&](const Response&, std::string_view bytes) {
      open();
      sys::write_all(file.get(), bytes, to.string());
      return Flow::go_on;
    });
    open();  // of an empty file, too
    ++file_count_;
  }

  // False where it is a folder.
  bool try_download_file(const Side& from, const Side& to) {
    fs::path target = to.path;
    if (to.is_folder) sys::make_dirs(to.path, 0755);
    if (fs::is_directory(target)) target /= fs::path(from.path).filename();
    try {
      get(files_path(from), target);
      return true;
    } catch (const Error& error) {  // Probably a folder; if not, its listing says what is wrong.
      if (error.code() != ErrorCode::invalid_argument) throw;
      return false;
    }
  }

  void download_folder(const Side& from, const fs::path& to) {
    const json::Value answer = context_.api.get(files_path(from) + "?list=1&recursive=1");
    const json::Value* files = answer.find("files");
    if (files == nullptr || !files->is_array()) {
      throw Error(ErrorCode::internal, "the daemon's answer holds no files");
    }
    if (column(answer, "truncated") == "true") {
      throw Error(ErrorCode::too_large, "the folder holds more files than the daemon lists",
                  "copy its folders one by one");
    }
    sys::make_dirs(to.string(), 0755);
    for (const json::Value& file : files->as_array()) {
      // Its name comes from the cell: it must not lead outside of `to`.
      const std::string path = sys::normalize_path(column(file, "path"));
      const std::string below = path_below(from, path);
      const std::string type = column(file, "type");
      if (type == "directory") {
        sys::make_dirs((to / below).string(), 0755);
      } else if (type == "file") {
        sys::make_dirs((to / below).parent_path().string(), 0755);
        get(files_path(from, below), to / below);
      } else {
        context_.output.note("left out, no file or folder: " + path);
      }
    }
  }

  // Paths of a listing are relative to /work.
  static std::string path_below(const Side& folder, const std::string& path) {
    if (folder.path.empty()) return path;
    const std::string prefix = sys::normalize_path(folder.path) + "/";
    return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
  }

  Context& context_;
  std::size_t file_count_ = 0;
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
