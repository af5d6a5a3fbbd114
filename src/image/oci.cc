#include "image/oci.h"

#include <fcntl.h>

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "image/digest.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/beneath.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDocumentBytesMax = 4 << 20;
constexpr std::size_t kLayersMax = 256;
constexpr int kIndexDepthMax = 4;
constexpr std::string_view kDeleted = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

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

// Removes what a layer says is deleted, before its own files come. The names are in the archive.
void apply_deletions(const std::string& names_file, const std::string& root) {
  const sys::BeneathDir files(root);
  const std::string names = sys::read_file(names_file).value_or("");
  for (const std::string_view line : split(names, '\n')) {
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

void apply_layer(const std::string& blob, const std::string& root, bool is_first) {
  if (!is_first) {
    const std::string names = root + ".names";
    sys::run_program("sh", {"-c", "exec tar --list --file \"$0\" > \"$1\"", blob, names});
    apply_deletions(names, root);
    sys::remove_file(names);
  }
  sys::run_program("tar",
                   {"--extract", "--file", blob, "--directory", root, "--numeric-owner",
                    "--preserve-permissions", "--exclude=.wh.*", "--delay-directory-restore"});
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
    apply_layer(blob_path(layout, layer.required_string("digest")), root, is_first);
    is_first = false;
  }
}

}  // namespace cellar::image
