#pragma once

#include <string>
#include <string_view>

#include "store/registry.h"

// Names of customers' own that lead to a cell's preview: pure.
namespace cellar::cell {

using CustomDomain = store::DomainRow;

// A host name as it is stored: in lower case, without a dot at its end. Throws Error
// `invalid_argument`, reason `invalid_domain`, for an address, a name without a dot, or of more
// than 253 characters, or with a label that is none.
std::string checked_domain(std::string_view text);

// Whether nothing is before the registrable name, as far as its number of labels says it.
bool is_apex(std::string_view domain) noexcept;

// The TXT record that proves whose the domain is: its name and its text.
std::string challenge_name(const CustomDomain& domain);
std::string challenge_text(const CustomDomain& domain);

}  // namespace cellar::cell
