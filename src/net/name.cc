#include "net/name.h"

#include <algorithm>

#include "base/text.h"

namespace cellar::net {
namespace {

constexpr std::size_t kNameSizeMax = 253;
constexpr std::size_t kLabelSizeMax = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_label_char(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_'; }

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kLabelSizeMax && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), is_label_char);
}

}  // namespace

std::optional<std::string> normal_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kNameSizeMax) return std::nullopt;
  std::string name = to_lower_ascii(text);
  const auto labels = split(name, '.');
  if (!std::all_of(labels.begin(), labels.end(), is_label)) return std::nullopt;
  const std::string_view last = labels.back();
  if (std::all_of(last.begin(), last.end(), is_digit)) return std::nullopt;
  return name;
}

}  // namespace cellar::net
