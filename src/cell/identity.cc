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

}  // namespace

void check_customer_id(std::string_view customer_id) {
  const bool printable = is_valid_utf8(customer_id) &&
                         std::none_of(customer_id.begin(), customer_id.end(), [](char c) {
                           const auto byte = static_cast<unsigned char>(c);
                           return byte < 0x20 || byte == 0x7f || c == '/';
                         });
  if (customer_id.empty() || customer_id.size() > kCustomerMax || !printable) {
    throw Error(ErrorCode::invalid_argument, "invalid_customer_id",
                "\"customer_id\" must be 1 to 128 bytes of printable text without \"/\"");
  }
}

std::string cell_id_of(std::string_view owner_id, std::string_view customer_id) {
  std::string name;
  for (const char c : customer_id) name.push_back(is_id_char(c) ? c : '-');
  const std::string prefix = std::string(owner_id) + "--";
  const bool kept = name == customer_id && prefix.size() + name.size() <= kIdMax &&
                    name.front() != '-' && name.back() != '-';
  if (kept) return prefix + name;
  const std::string hash = sha256_hex(customer_id).substr(0, kHashDigits);
  name = name.substr(0, kIdMax - prefix.size() - kHashDigits - 1);
  return prefix + name + "-" + hash;
}

bool is_cell_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kIdMax && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), is_id_char);
}

}  // namespace cellar::cell
