#include "image/oci.h"

#include <fcntl.h>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "image/digest.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/beneath.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/node.h"
#include "sys/process.h"

namespace cellar::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDocumentBytesMax = 4 << 20;
constexpr std::size_t kLayersMax = 256;
constexpr int kIndexDepthMax = 4;
constexpr std::string_view kDeleted = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

enum class Named : std::uint8_t { no, yes };

#if defined(__aarch64__)
constexpr std::string_view kArchitecture = "arm64";
#else
constexpr std::string_view kArchitecture = "amd64";
#endif

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_argument, "invalid_image", "this OCI image " + what);
}

// The file of a blob, after its contents were compared with its digest.
std::string blob_path(const std::string& layout, const std::string& digest) {
  constexpr std::string_view kAlgorithm = "sha256:";
  constexpr std::size_t kHexCharacters = 64;
  const std::string hex = digest.starts_with(kAlgorithm) ? digest.substr(kAlgorithm.size()) : "";
  if (hex.size() != kHexCharacters ||
      hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    refuse("names a blob by \"" + digest + "\": only sha256 is known");
  }
  const std::string path = layout + "/blobs/sha256/" + hex;
  const auto file = sys::open_file_if_exists(path, O_RDONLY | O_NOFOLLOW);
  if (!file) refuse("lacks the blob " + digest);
  if (digest_of(*file, path) != hex) refuse("is damaged: blob " + digest + " holds something else");
  return path;
}

json::Value read_document(const std::string& path) {
  const auto text = sys::read_file(path, kDocumentBytesMax);
  if (!text) refuse("lacks " + path);
  return json::parse(*text);
}

const json::Array& array_of(const json::Reader& reader, std::string_view key) {
  const json::Value* value = reader.optional_value(key);
  if (value == nullptr || !value->is_array()) refuse("has no \"" + std::string(key) + "\"");
  return value->as_array();
}

bool is_for_this_machine(const json::Reader& descriptor) {
  const auto platform = descriptor.optional_object("platform");
  if (!platform) return true;
  return platform->optional_string("architecture").value_or(std::string(kArchitecture)) ==
             kArchitecture &&
         platform->optional_string("os").value_or("linux") == "linux";
}

// The manifest that `index` leads to, directly or through others.
json::Value find_manifest(const std::string& layout, const json::Value& index, int depth = 0) {
  if (depth > kIndexDepthMax) refuse("has indexes in indexes without end");
  const json::Reader reader(index, "the index");
  for (const json::Value& value : array_of(reader, "manifests")) {
    const json::Reader descriptor(value, "a manifest");
    if (!is_for_this_machine(descriptor)) continue;
    json::Value found = read_document(blob_path(layout, descriptor.required_string("digest")));
    const json::Reader document(found, "a manifest");
    if (document.optional_value("manifests") != nullptr) {
      return find_manifest(layout, found, depth + 1);
    }
    return found;
  }
  refuse("has nothing for linux/" + std::string(kArchitecture));
}

using Names = std::vector<std::string_view>;

// Removes what a layer says is deleted, before its own files come.
void apply_deletions(const Names& names, const std::string& root) {
  const sys::BeneathDir files(root);
  for (const std::string_view line : names) {
    const fs::path path = line;
    const std::string name = path.filename().string();
    if (!name.starts_with(kDeleted)) continue;
    const std::string folder = path.parent_path().string();
    if (name == kOpaque) {
      for (const auto& entry : files.list(folder, sys::Depth::one, SIZE_MAX).entries) {
        files.remove(entry.path);
      }
    } else {
      files.remove((folder.empty() ? "" : folder + "/") + name.substr(kDeleted.size()));
    }
  }
}

// The folders that an archive holds itself, not only as the way to something in them.
std::set<std::string> named_folders(const Names& names) {
  std::set<std::string> folders;
  for (const std::string_view name : names) {
    if (!name.ends_with('/')) continue;
    const fs::path folder = fs::path(name).relative_path().lexically_normal().parent_path();
    folders.insert(folder.empty() ? "." : folder.string());
  }
  return folders;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

// Whether the layer's folder `path` goes into one that is there. One that is named takes the place
// of a link; what only lies below a link goes to where that leads.
bool goes_into(const sys::BeneathDir& files, const std::string& path, Named named) {
  const auto there = files.entry(path);
  if (!there || there->stat.kind == sys::FileKind::directory) return there.has_value();
  if (named == Named::yes || there->stat.kind != sys::FileKind::symlink) return false;
  try {
    const auto target = files.stat(path);
    return target && target->kind == sys::FileKind::directory;
  } catch (const Error&) {
    refuse("has a layer with files below " + path + ", a link that leads out of the image");
  }
}

// Moves what is in the folder `layer` into `root`, over what is there. Nobody else changes either.
void merge(const std::string& layer, const std::string& root, const std::set<std::string>& named) {
  const sys::BeneathDir files(root);
  std::vector<std::string> joined = {"."};  // folders of both
  for (std::size_t i = 0; i < joined.size(); ++i) {
    const std::string folder = joined[i];
    for (const std::string& name : names_in(layer + "/" + folder)) {
      const std::string path = folder == "." ? name : folder + "/" + name;
      const Named is_named = named.contains(path) ? Named::yes : Named::no;
      const bool is_folder = fs::is_directory(fs::symlink_status(layer + "/" + path));
      if (is_folder && goes_into(files, path, is_named)) {
        joined.push_back(path);
        continue;
      }
      sys::remove_tree(root + "/" + path);
      sys::rename_file(layer + "/" + path, root + "/" + path);
    }
  }
  for (const std::string& folder : joined) {
    if (named.contains(folder)) sys::copy_rights(layer + "/" + folder, root + "/" + folder);
  }
}

void extract_layer(const std::string& blob, const std::string& folder) {
  sys::run_program("tar",
                   {"--extract", "--file", blob, "--directory", folder, "--numeric-owner",
                    "--preserve-permissions", "--exclude=.wh.*", "--delay-directory-restore"});
}

// tar keeps to its folder as long as that was empty: a link that was there before it follows, and
// an image's link may lead to any file of this machine.
void apply_layer(const std::string& blob, const std::string& root) {
  const std::string names_file = root + ".names";
  sys::run_program("sh", {"-c", "exec tar --list --file \"$0\" > \"$1\"", blob, names_file});
  const std::string text = sys::read_file(names_file).value_or("");
  sys::remove_file(names_file);
  const Names names = split(text, '\n');
  const std::string folder = root + ".layer";
  sys::make_dirs(folder, 0755);
  extract_layer(blob, folder);
  apply_deletions(names, root);
  merge(folder, root, named_folders(names));
  sys::remove_tree(folder);
}

}  // namespace

void unpack_oci(const std::string& layout, const std::string& root) {
  const json::Value manifest = find_manifest(layout, read_document(layout + "/index.json"));
  const json::Reader reader(manifest, "the manifest");
  const json::Array& layers = array_of(reader, "layers");
  if (layers.size() > kLayersMax) refuse("has more than 256 layers");
  bool is_first = true;
  for (const json::Value& value : layers) {
    const json::Reader layer(value, "a layer");
    const std::string blob = blob_path(layout, layer.required_string("digest"));
    if (std::exchange(is_first, false)) {
      extract_layer(blob, root);
    } else {
      apply_layer(blob, root);
    }
  }
}

}  // namespace cellar::image
