#include <fcntl.h>

#include <filesystem>

#include "base/error.h"
#include "base/text.h"
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
    take_executables(from.cell_id);
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
      if (is_executable(from)) in_cell(to, {"chmod", "+x", "--"}, {to.is_folder ? name : ""});
    } catch (const Error& error) {  // A folder, which only the daemon knew.
      if (to.is_folder || error.reason() != "not_a_file") throw;
      put(from, files_path(to, name));
      if (is_executable(from)) in_cell(to, {"chmod", "+x", "--"}, {name});
    }
  }

  void upload_folder(const fs::path& from, const Side& to) {
    std::vector<std::string> executables;
    std::vector<std::string> empty_folders;
    if (fs::is_empty(from)) empty_folders.push_back("");
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      const std::string below = entry.path().lexically_relative(from).generic_string();
      if (entry.is_symlink() || (!entry.is_regular_file() && !entry.is_directory())) {
        context_.output.note("left out, no file or folder: " + entry.path().string());
      } else if (entry.is_regular_file()) {
        put(entry.path(), files_path(to, below));
        if (is_executable(entry.path())) executables.push_back(below);
      } else if (fs::is_empty(entry.path())) {  // The daemon makes the others with their files.
        empty_folders.push_back(below);
      }
    }
    in_cell(to, {"mkdir", "-p", "--"}, empty_folders);
    in_cell(to, {"chmod", "+x", "--"}, executables);
  }

  static bool is_executable(const fs::path& path) {
    return (fs::status(path).permissions() & fs::perms::owner_exec) != fs::perms::none;
  }

  static std::string path_in_cell(const Side& side, const std::string& below) {
    std::string path = "/work/" + side.path;
    if (!below.empty()) path += (path.ends_with('/') ? "" : "/") + below;
    return path;
  }

  // Runs `words` in the cell with so many paths behind them as there are. What files and folders
  // are beside their bytes (the right to run them, folders without a file) is no matter of the file
  // API: it goes by commands, which every image has.
  void in_cell(const Side& to, const std::vector<std::string>& words,
               const std::vector<std::string>& below) {
    std::vector<std::string> paths;
    for (const std::string& path : below) paths.push_back(path_in_cell(to, path));
    for (std::size_t next = 0; next < paths.size();) {
      json::Array command(words.begin(), words.end());
      add_batch(command, paths, next);
      const json::Value result = run_in_cell(to.cell_id, std::move(command));
      if (column(result, "exit_code") == "0") continue;
      throw Error(ErrorCode::internal, words.front() + " failed in the cell: " +
                                           std::string(trim(column(result, "stderr"))));
    }
  }

  // As many of the paths from `next` on as fit in one command, and at least one.
  static void add_batch(json::Array& command, const std::vector<std::string>& paths,
                        std::size_t& next) {
    for (std::size_t bytes = 0; next < paths.size() && bytes < kBatchBytes; ++next) {
      bytes += paths[next].size() + 1;
      command.push_back(paths[next]);
    }
  }

  json::Value run_in_cell(const std::string& cell_id, json::Array command) {
    const json::Value body = json::object({{"cmd", std::move(command)}});
    return context_.api.post(cell_path(cell_id, "/exec"), body);
  }

  // What can be run in the cell can be run here. The shell's own `test` needs no other program.
  void take_executables(const std::string& cell_id) {
    constexpr const char* kScript = "n=0; for f; do [ -x \"$f\" ] && echo $n; n=$((n+1)); done; :";
    for (std::size_t next = 0; next < remote_.size();) {
      const std::size_t first = next;
      json::Array command = {"sh", "-c", kScript, "sh"};
      add_batch(command, remote_, next);
      const json::Value result = run_in_cell(cell_id, std::move(command));
      const std::string numbers = column(result, "stdout");
      for (const std::string_view number : split(numbers, '\n')) {
        const auto index = parse_int(number);
        if (!index || *index < 0 || first + *index >= next) continue;
        make_executable(local_[first + *index]);
      }
    }
  }

  // For whom it may be read.
  static void make_executable(const fs::path& path) {
    const auto read = static_cast<unsigned>(fs::status(path).permissions()) & 0444;
    fs::permissions(path, fs::perms{read >> 2}, fs::perm_options::add);
  }

  // Writes the bytes of a remote file to `to` as they come.
  void get(const Side& from, const std::string& below, const fs::path& to) {
    const std::string path = files_path(from, below);
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
    if (fs::is_regular_file(to)) {
      remote_.push_back(path_in_cell(from, below));
      local_.push_back(to);
    }
    ++file_count_;
  }

  // Gives what the daemon says where it is no file.
  std::optional<Error> try_download_file(const Side& from, const Side& to) {
    fs::path target = to.path;
    if (to.is_folder) sys::make_dirs(to.path, 0755);
    if (fs::is_directory(target)) target /= fs::path(from.path).filename();
    try {
      get(from, "", target);
      return std::nullopt;
    } catch (const Error& error) {  // A folder, or nothing that can be copied.
      if (error.reason() != "not_a_file") throw;
      return error;
    }
  }

  json::Value listing_of(const Side& from, const std::optional<Error>& refusal) {
    try {
      return context_.api.get(files_path(from) + "?list=1&recursive=1");
    } catch (const Error& error) {  // A pipe or a device: what was said first is what is wrong.
      if (refusal && error.reason() == "not_a_directory") throw *refusal;
      throw;
    }
  }

  void download_folder(const Side& from, const fs::path& to, const std::optional<Error>& refusal) {
    const json::Value answer = listing_of(from, refusal);
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
        get(from, below, to / below);
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

  // Of one command's paths: with the longest one behind them they are less than a command may have.
  static constexpr std::size_t kBatchBytes = 64 << 10;

  Context& context_;
  std::vector<std::string> remote_;  // the files that came, as the cell sees them
  std::vector<fs::path> local_;      // and where each is now
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
