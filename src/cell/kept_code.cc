#include "cell/kept_code.h"

#include "base/error.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::string_view kCodeEnding = ".code";
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
  sys::replace_file(folder + "/" + name, bytes, 0644);
}

}  // namespace cellar::cell
