#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cellar::cell {

// The id of a customer's cell: "<owner>--<customer>", 63 characters of [a-z0-9-] at most, so that
// it can be a host name. A customer id that does not survive this as it is gets hexadecimal digits
// of its hash behind it: "A B" is "a-b-fea4c5ce". The first one that nobody else has is taken: who
// chooses the name of such an id gets no one else's cell.
std::vector<std::string> cell_ids_of(std::string_view owner_id, std::string_view customer_id);

// The one that earlier versions gave, "----fea4c5ce": cells keep theirs.
std::string old_cell_id_of(std::string_view owner_id, std::string_view customer_id);

// 1 to 128 bytes of printable UTF-8 without '/'. Throws Error `invalid_argument` otherwise.
void check_customer_id(std::string_view customer_id);

// Whether `text` can be a cell's id at all: it becomes a folder's name.
bool is_cell_id(std::string_view text) noexcept;

}  // namespace cellar::cell
