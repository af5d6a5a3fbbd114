#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace cellar::audit {

// One thing that somebody did, or was refused: no bodies, no queries, no secrets.
struct Entry {
  WallTime at;
  std::string key_id;  // empty: nobody known
  std::string owner;
  std::string via;        // "key", "token"; empty: neither
  std::string operation;  // the method and the route: "DELETE /api/v1/cells/{id}"
  std::string target;     // the cell's or the key's id, as it was asked for; may be empty
  std::string from;       // address
  int status = 0;         // 0: the client left before an answer
  std::string code;       // of an error
  std::string request_id;
  std::uint64_t left_out = 0;  // how many refusals this one stands for, beside itself
  std::uint64_t lost = 0;      // how many calls: there was no room for them in memory

  bool operator==(const Entry&) const = default;
};

// The place of an entry in the log: 1, 2, 3, … with no gap.
using Seq = std::uint64_t;

// What is known of one line: its number, and the hash of all before it and itself.
struct Link {
  Seq seq = 0;
  std::string hash = std::string(64, '0');  // SHA-256 of the line, without its end, as hexadecimal

  bool operator==(const Link&) const = default;
};

// The line behind `before`, without its end: JSON with "seq" and "prev", the hash of the line
// before.
std::string encode_line(const Entry& entry, const Link& before);
// The link that a line is.
Link link_of(Seq seq, std::string_view line);

// What a line says of its place; nullopt for what is no line of ours.
struct LineHead {
  Seq seq = 0;
  std::string prev;
};
std::optional<LineHead> read_line_head(std::string_view line);

}  // namespace cellar::audit
