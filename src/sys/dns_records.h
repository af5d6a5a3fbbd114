#pragma once

#include <optional>
#include <string>
#include <vector>

namespace cellar::sys {

// Which name server is asked: "127.0.0.1:5353", or empty for those of /etc/resolv.conf.
using NameServer = std::string;

// What DNS says of a name. Blocking, some seconds at most; on any thread. No record, and no such
// name, are answers; throw Error `unavailable`, reason `dns_failed`, where there is none, and
// `invalid_argument` for a server that is no IPv4 address with a port.
std::vector<std::string> txt_records(const std::string& name, const NameServer& server);
// In lower case, without a dot at its end.
std::optional<std::string> cname_of(const std::string& name, const NameServer& server);

}  // namespace cellar::sys
