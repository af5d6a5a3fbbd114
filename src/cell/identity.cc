#include "cell/identity.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kIdMax = 63;
constexpr std::size_t kCustomerMax = 128;
constexpr std::size_t kHashDigits = 8;

bool is_id_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// Letters and digits with single "-" between; may be empty.
std::string readable(std::string_view customer_id) {
  std::string name;
  for (const char c : to_lower_ascii(customer_id)) {
    if (is_id_char(c) && c != '-') {
      name.push_back(c);
    } else if (!name.empty() && name.back() != '-') {
      name.push_back('-');
    }
  }
  while (name.ends_with('-')) name.pop_back();
  return name;
}

std::string with_hash(const std::string& prefix, std::string name, const std::string& hash,
                      std::size_t digits) {
  name = name.substr(0, kIdMax - prefix.size() - digits - 1);
  while (name.ends_with('-')) name.pop_back();
  return prefix + name + (name.empty() ? "" : "-") + hash.substr(0, digits);
}

}  // namespace

void check_customer_id(std::string_view customer_id) {
  const bool printable =
      is_valid_utf8(customer_id) &&
      std::ranges::none_of(customer_id, [](char c) { return is_control(c) || c == '/'; });
  if (customer_id.empty() || customer_id.size() > kCustomerMax || !printable) {
    throw Error(ErrorCode::invalid_argument, "invalid_customer_id",
                "\"customer_id\" must be 1 to 128 bytes of printable text without \"/\"");
  }
}

std::vector<std::string> cell_ids_of(std::string_view owner_id, std::string_view customer_id) {
  const std::string prefix = std::string(owner_id) + "--";
  std::vector<std::string> ids;
  const bool is_plain = std::all_of(customer_id.begin(), customer_id.end(), is_id_char) &&
                        !customer_id.starts_with('-') && !customer_id.ends_with('-') &&
                        prefix.size() + customer_id.size() <= kIdMax;
  if (is_plain) ids.push_back(prefix + std::string(customer_id));
  const std::string name = readable(customer_id);
  const std::string hash = sha256_hex(customer_id);
  for (const std::size_t digits : {kHashDigits, 2 * kHashDigits}) {
    ids.push_back(with_hash(prefix, name, hash, digits));
  }
  return ids;
}

std::string old_cell_id_of(std::string_view owner_id, std::string_view customer_id) {
  std::string name;
  for (const char c : customer_id) name.push_back(is_id_char(c) ? c : '-');
  const std::string prefix = std::string(owner_id) + "--";
  name = name.substr(0, kIdMax - prefix.size() - kHashDigits - 1);
  return prefix + name + "-" + sha256_hex(customer_id).substr(0, kHashDigits);
}

bool is_cell_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kIdMax && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), is_id_char);
}

}  // namespace cellar::cell
