#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/entry.h"

// The names and parts of an audit log's files, for who writes and who checks them.
namespace cellar::audit {

struct Head {
  Link before;  // the link before the first line that is kept
  Link last;    // a line that was durable
};

std::string file_of(const std::string& dir, Seq first);
// The numbers of the first lines of the files that are there, in order.
std::vector<Seq> first_seqs(const std::string& dir);
std::string read_log_file(const std::string& dir, Seq first);
std::uint64_t size_of_log_file(const std::string& dir, Seq first);

// nullopt where there is none. Throws Error `corrupt` for one that does not read.
std::optional<Head> read_head(const std::string& dir);
std::string encode_head(const Head& head);

// The text's lines without their ends, and what is behind the last end.
struct Lines {
  std::vector<std::string_view> whole;
  std::string_view torn;
};
Lines lines_of(std::string_view text);

}  // namespace cellar::audit
