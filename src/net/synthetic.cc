#include "net/synthetic.h"

#include "base/check.h"

namespace cellar::net {
namespace {

constexpr std::uint32_t kNetwork = 0xC6120000;  // 198.18.0.0
constexpr std::uint32_t kPrefixMask = 0xFFFE0000;
// The first 256 are kept for the daemon's own: the resolver's address in resolv.conf.
constexpr std::uint32_t kFirst = kNetwork + 256;

}  // namespace

bool is_synthetic(const asio::ip::address& address) {
  return address.is_v4() && (address.to_v4().to_uint() & kPrefixMask) == kNetwork;
}

SyntheticNames::SyntheticNames(std::size_t names_max) : names_max_(names_max) {
  CELLAR_CHECK(names_max >= 1 && names_max <= kNamesMax);
}

asio::ip::address_v4 SyntheticNames::address_of(const std::string& name) {
  const auto found = by_name_.find(name);
  Place place;
  if (found != by_name_.end()) {
    place = found->second;
  } else if (by_age_.size() < names_max_) {
    place = by_age_.insert(by_age_.end(), Entry{name, by_index_.size()});
    by_index_.push_back(place);
    by_name_.emplace(place->name, place);
  } else {
    place = by_age_.begin();
    by_name_.erase(place->name);
    place->name = name;
    by_name_.emplace(place->name, place);
  }
  by_age_.splice(by_age_.end(), by_age_, place);
  return asio::ip::address_v4(kFirst + static_cast<std::uint32_t>(place->index));
}

std::optional<std::string> SyntheticNames::name_of(const asio::ip::address& address) const {
  if (!is_synthetic(address)) return std::nullopt;
  const std::uint32_t bits = address.to_v4().to_uint();
  if (bits < kFirst || bits - kFirst >= by_index_.size()) return std::nullopt;
  return by_index_[bits - kFirst]->name;
}

}  // namespace cellar::net
