#include "cell/kept_code.h"

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::string_view kCodeEnding = ".code";
constexpr std::string_view kDigestEnding = ".sha256";
constexpr std::string_view kCodeNameAllowed =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

}  // namespace

bool is_code_name(std::string_view name) {
  return name.size() <= kCodeNameMax && name.ends_with(kCodeEnding) && !name.starts_with('.') &&
         name.find_first_not_of(kCodeNameAllowed) == std::string_view::npos;
}

void keep_code(const std::string& folder, const std::string& name, std::string_view bytes) {
  if (!is_code_name(name)) {
    throw Error(ErrorCode::invalid_argument,
                "no name for code of the agent host: \"" + name.substr(0, kCodeNameMax) + "\"");
  }
  if (bytes.size() > kCodeBytesMax) {
    throw Error(ErrorCode::too_large, "code of the agent host has " + std::to_string(bytes.size()) +
                                          " bytes, at most " + std::to_string(kCodeBytesMax));
  }
  const std::string path = folder + "/" + name;
  sys::remove_file(path);  // Until its digest is that of the new one.
  sys::replace_file(path + std::string(kDigestEnding), sha256_hex(bytes), 0644);
  sys::replace_file(path, bytes, 0644);
}

void drop_damaged_code(const std::string& folder) {
  for (const std::string& name : sys::files_in(folder)) {
    if (!is_code_name(name)) continue;
    const std::string path = folder + "/" + name;
    const auto bytes = sys::read_file(path);
    if (bytes && sys::read_file(path + std::string(kDigestEnding)) == sha256_hex(*bytes)) continue;
    log::warning("{} is damaged, and is made again", path);
    sys::remove_file(path);
  }
}

}  // namespace cellar::cell
