#include "base/percent.h"

namespace cellar {
namespace {

std::string encode_all_but(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || kept.find(c) != kept.npos;
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

}  // namespace

std::string encode_segment(std::string_view text) { return encode_all_but(text, "-._~"); }
std::string encode_path(std::string_view path) { return encode_all_but(path, "-._~/"); }

}  // namespace cellar
