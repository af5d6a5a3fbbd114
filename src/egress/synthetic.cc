#include "egress/synthetic.h"

namespace cellar::egress {

asio::ip::address_v4 SyntheticNames::address_of(const std::string& name) {
  const auto found = indexes_.find(name);
  if (found != indexes_.end()) return asio::ip::address_v4(kFirst + found->second);
  const std::uint32_t index = next_;
  next_ = static_cast<std::uint32_t>((next_ + 1) % kCountMax);
  if (index < names_.size()) {
    indexes_.erase(names_[index]);
    names_[index] = name;
  } else {
    names_.push_back(name);
  }
  indexes_[name] = index;
  return asio::ip::address_v4(kFirst + index);
}

std::optional<std::string> SyntheticNames::name_of(const asio::ip::address_v4& address) const {
  const std::uint32_t value = address.to_uint();
  if (value < kFirst || value - kFirst >= names_.size()) return std::nullopt;
  return names_[value - kFirst];
}

}  // namespace cellar::egress
