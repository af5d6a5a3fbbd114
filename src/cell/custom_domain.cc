#include "cell/custom_domain.h"

#include <algorithm>

#include "base/error.h"
#include "net/name.h"

namespace cellar::cell {
std::string checked_domain(std::string_view text) {
  const auto name = net::normal_name(text);
  const std::string domain = name.value_or(std::string());
  const std::string_view last = std::string_view(domain).substr(domain.rfind('.') + 1);
  const bool ends_in_letters =
      std::any_of(last.begin(), last.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  const bool is_host = domain.find('.') != domain.npos && domain.find('_') == domain.npos;
  if (is_host && ends_in_letters) return domain;
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
