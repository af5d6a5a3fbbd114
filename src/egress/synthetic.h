#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace cellar::egress {

namespace asio = boost::asio;

// Addresses of our own for the names that a cell asks for, so that a connection tells which name
// it means: 198.18.0.0/15, which nobody on the Internet has (RFC 2544). Loop thread only.
class SyntheticNames {
 public:
  static constexpr std::uint32_t kFirst = 0xc6120001;  // 198.18.0.1
  static constexpr std::size_t kCountMax = 65'536;     // then the oldest is given away

  // The same address for the same name, as long as it is among the last kCountMax.
  asio::ip::address_v4 address_of(const std::string& name);
  // nullopt for an address that stands for no name.
  std::optional<std::string> name_of(const asio::ip::address_v4& address) const;

 private:
  std::vector<std::string> names_;  // by address
  std::unordered_map<std::string, std::uint32_t> indexes_;
  std::uint32_t next_ = 0;
};

}  // namespace cellar::egress
