#include "cell/custom_domain.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kDomainBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

bool is_label(std::string_view label) noexcept {
  return !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace

std::string checked_domain(std::string_view text) {
  std::string domain = to_lower_ascii(text);
  if (domain.ends_with(".")) domain.pop_back();
  const std::vector<std::string_view> labels = split(domain, '.');
  const bool ends_in_letters =
      std::any_of(labels.back().begin(), labels.back().end(), [](char c) { return c >= 'a'; });
  const bool is_name = domain.size() <= kDomainBytesMax && labels.size() >= 2 &&
                       std::all_of(labels.begin(), labels.end(), is_label) && ends_in_letters;
  if (is_name) return domain;
  throw Error(ErrorCode::invalid_argument, "invalid_domain",
              "\"domain\" must be a host name such as app.example.com; other scripts as punycode");
}

bool is_apex(std::string_view domain) noexcept {
  return std::count(domain.begin(), domain.end(), '.') == 1;
}

std::string challenge_name(const CustomDomain& domain) { return "_cellar." + domain.domain; }

std::string challenge_text(const CustomDomain& domain) {
  return "cellar-verification=" + domain.challenge;
}

}  // namespace cellar::cell
