#include "base/utf8.h"

#include "base/text.h"

namespace cellar {

std::string as_utf8(std::string_view bytes, std::string_view instead) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = utf8_size_at(bytes, at);
    out.append(size == 0 ? instead : bytes.substr(at, size));
    at += size == 0 ? 1 : size;
  }
  return out;
}

}  // namespace cellar
