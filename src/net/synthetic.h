#pragma once

#include <boost/asio/ip/address.hpp>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::net {

namespace asio = boost::asio;

// Whether `address` is in 198.18.0.0/15, the network of benchmarks that is never routed: inside of
// a cell its addresses stand for names.
bool is_synthetic(const asio::ip::address& address);

// The synthetic addresses of one cell: 198.18.1.0 for the first name, and so on. They mean nothing
// outside of its network namespace and are forgotten when the daemon ends. Not thread-safe.
class SyntheticNames {
 public:
  static constexpr std::size_t kNamesMax = 65'536;

  explicit SyntheticNames(std::size_t names_max = kNamesMax);

  // The address of `name`, which is normal (name.h). A new name takes the address of the one that
  // was not asked for the longest time, where all are in use.
  asio::ip::address_v4 address_of(const std::string& name);
  // nullopt where the address stands for no name (any more).
  std::optional<std::string> name_of(const asio::ip::address& address) const;

  std::size_t size() const noexcept { return by_age_.size(); }

 private:
  struct Entry {
    std::string name;
    std::size_t index = 0;
  };
  using Place = std::list<Entry>::iterator;

  std::size_t names_max_;
  std::list<Entry> by_age_;  // the one to reuse first
  // The keys lie in the entries. Not hashed: a cell may choose names that collide.
  std::map<std::string_view, Place> by_name_;
  std::vector<Place> by_index_;
};

}  // namespace cellar::net
