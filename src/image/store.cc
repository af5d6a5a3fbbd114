#include "image/store.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/lock_file.h"

namespace cellar::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigestCharacters = 64;
constexpr std::string_view kDraftPrefix = "draft-";
constexpr std::string_view kLockSuffix = ".lock";

bool is_digest(std::string_view text) {
  return text.size() == kDigestCharacters &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string encode(const Image& image) {
  return json::dump_pretty(
             json::object({{"digest", image.digest},
                           {"source", image.source},
                           {"size_bytes", static_cast<std::int64_t>(image.size_bytes)},
                           {"created_at_ms", to_unix_ms(image.created_at)}})) +
         "\n";
}

}  // namespace

void check_name(std::string_view name) {
  constexpr std::string_view kCharacters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  const bool is_good = !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' &&
                       name.find_first_not_of(kCharacters) == std::string_view::npos &&
                       name != "dev" && !is_digest(name);
  if (is_good) return;
  throw Error(ErrorCode::invalid_argument, "invalid_image",
              "\"" + std::string(name) + "\" cannot be the name of an image",
              "use up to 64 letters, digits, '.', '_' and '-'; dev is the view of the host");
}

std::string Store::name_path(std::string_view name) const {
  return dir_ + "/names/" + std::string(name);
}

Image Store::read(const std::string& digest) const {
  const std::string dir = dir_ + "/" + digest;
  const std::string path = dir + "/image.json";
  try {
    const json::Value value = json::parse(sys::read_file(path).value_or(""));
    const json::Reader reader(value, path);
    Image image;
    image.digest = reader.required_string("digest");
    image.source = reader.required_string("source");
    image.size_bytes = static_cast<std::uint64_t>(reader.required_int("size_bytes", 0, INT64_MAX));
    image.created_at = from_unix_ms(reader.required_int("created_at_ms", 0, INT64_MAX));
    image.dir = dir;
    return image;
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, "image_corrupt", path + ": " + error.what(),
                "remove the folder and make the image again");
  }
}

std::vector<NamedImage> Store::list() const {
  std::vector<NamedImage> images;
  if (!sys::exists(dir_ + "/names")) return images;
  for (const auto& entry : fs::directory_iterator(dir_ + "/names")) {
    if (!entry.is_symlink()) continue;
    const std::string digest = fs::read_symlink(entry.path()).filename().string();
    images.push_back({entry.path().filename().string(), read(digest)});
  }
  std::sort(images.begin(), images.end(),
            [](const NamedImage& a, const NamedImage& b) { return a.name < b.name; });
  return images;
}

std::optional<Image> Store::find(std::string_view name) const {
  if (is_digest(name)) {
    if (!sys::exists(dir_ + "/" + std::string(name) + "/image.json")) return std::nullopt;
    return read(std::string(name));
  }
  check_name(name);
  std::error_code error;
  const fs::path target = fs::read_symlink(name_path(name), error);
  if (error) return std::nullopt;
  return read(target.filename().string());
}

Draft::~Draft() {
  if (!lock_) return;  // Moved away.
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  fs::remove(path_ + std::string(kLockSuffix), ignored);
}

// A draft whose lock nobody holds is nobody's. What is mounted in one is never deleted: its maker
// left more behind than files.
void Store::remove_stale_drafts() {
  const std::string mounts = sys::read_file("/proc/self/mountinfo").value_or("");
  for (const std::string& name : sys::files_in(dir_)) {
    if (!name.starts_with(kDraftPrefix) || !name.ends_with(kLockSuffix)) continue;
    const std::string path = dir_ + "/" + name.substr(0, name.size() - kLockSuffix.size());
    const auto lock = sys::try_lock_file(dir_ + "/" + name);
    if (!lock || mounts.find(path + "/") != std::string::npos) continue;
    sys::remove_tree(path);
    sys::remove_file(dir_ + "/" + name);
  }
}

Draft Store::make_draft() {
  sys::make_dirs(dir_);
  remove_stale_drafts();
  const std::string path = dir_ + "/" + std::string(kDraftPrefix) + random_hex(8);
  auto lock = sys::try_lock_file(path + std::string(kLockSuffix));
  if (!lock) throw Error(ErrorCode::conflict, path + " is taken");
  sys::make_dirs(path + "/root", 0755);
  return {path, std::move(*lock)};
}

Image Store::add(const std::string& draft, const std::string& digest, std::uint64_t size_bytes,
                 std::string_view name, std::string_view source) {
  check_name(name);
  Image image;
  image.digest = digest;
  image.size_bytes = size_bytes;
  image.source = source;
  image.created_at = wall_now();
  image.dir = dir_ + "/" + image.digest;
  if (sys::exists(image.dir + "/image.json")) {
    sys::remove_tree(draft);
  } else {
    sys::make_dirs(draft + "/mount");
    sys::replace_file(draft + "/image.json", encode(image));
    sys::sync_file_system(draft);
    sys::rename_file(draft, image.dir);
    sys::sync_dir(dir_);
  }
  sys::make_dirs(dir_ + "/names");
  sys::replace_link(name_path(name), "../" + image.digest);
  return image;
}

bool Store::remove(std::string_view name) {
  const auto image = find(name);
  if (!image || is_digest(name)) return false;
  std::size_t names = 0;
  for (const NamedImage& other : list()) names += other.image.digest == image->digest ? 1 : 0;
  const bool is_last = names == 1;
  if (is_last) {
    const std::string cells = dir_ + "/../cells";
    for (const std::string& cell : sys::folders_in(cells)) {
      const auto record = sys::read_file(cells + "/" + cell + "/cell.json");
      if (!record || record->find(image->digest) == std::string::npos) continue;
      throw Error(ErrorCode::conflict, "image_in_use",
                  "image \"" + std::string(name) + "\" is that of cell " + cell,
                  "delete the cell first, or keep the image");
    }
  }
  sys::remove_file(name_path(name));
  sys::sync_dir(dir_ + "/names");
  if (is_last) sys::remove_tree(image->dir);
  return true;
}

}  // namespace cellar::image
