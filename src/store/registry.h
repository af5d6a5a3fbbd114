#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "store/database.h"

namespace cellar::store {

// What the registry knows of a cell; all of it is in the cell's own cell.json, too.
struct CellRow {
  std::string cell_id;
  std::string owner_id;
  std::string customer_id;
  std::uint32_t uid_index = 0;
  WallTime created_at;

  bool operator==(const CellRow&) const = default;
};

// A name of a customer's own that leads to a cell's preview, once it is verified.
struct DomainRow {
  std::string domain;
  std::string owner_id;
  std::string cell_id;
  std::string challenge;  // what its DNS has to say
  bool is_verified = false;
  WallTime created_at;

  bool operator==(const DomainRow&) const = default;
};

// A key of the API, without its secret.
struct KeyRow {
  std::string id;  // "key_…"
  std::string owner_id;
  std::string name;    // for people
  std::string scopes;  // words with commas between them: cell/key_ring.h knows them
  WallTime created_at;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> last_used_at;  // as it was noted last
  std::string secret_sha256;             // 32 raw bytes

  bool operator==(const KeyRow&) const = default;
};

// The daemon's registry.sqlite: who may call, and which cell is whose. What it says of cells can be
// rebuilt from the cell.json files; keys and domains cannot, and are made anew.
//
// A key is stored as its SHA-256 only: keys of ours have 128 random bits or more, so that there is
// nothing to guess. Besides what Database says, calls throw Error as noted.
//
// Blocking, not thread-safe: for one pool job at a time, on whatever thread.
class Registry {
 public:
  static constexpr std::size_t kOwnerBytesMax = 63;

  // Opens or creates the file; its folder must be there. Cells get uid indexes from 0 up to, not
  // including, `uid_index_count`.
  Registry(const std::string& path, std::uint32_t uid_index_count);

  // Makes the owner where there is none.
  void add_owner(std::string_view owner_id);
  std::vector<std::string> owners();

  static constexpr std::size_t kKeysMax = 1000;

  // Adds the key, or replaces what is known of that id. The owner is made where there is none.
  // Durable when it returns. Throws Error `conflict`, reason `key_taken`, where another id has the
  // secret, and `exhausted`, reason `too_many_keys`.
  void put_key(const KeyRow& row);
  // Oldest first.
  std::vector<KeyRow> keys();
  bool remove_key(std::string_view id);
  // Ids of keys that are gone are passed over.
  void note_key_uses(const std::vector<std::pair<std::string, WallTime>>& uses);

  struct Added {
    CellRow row;
    bool is_new = false;
  };
  // The cell of the customer; where there is none it gets the id `cell_id` and a uid index that no
  // other cell has. An index that became free is used again as late as possible. Durable when it
  // returns. Throws Error `exhausted`, reason `no_uid_range`, and `already_exists` where another
  // customer's cell has that id.
  // `reserved` is an index of reserve_uid_index(), and is the new cell's then.
  Added get_or_add_cell(std::string_view cell_id, std::string_view owner_id,
                        std::string_view customer_id, WallTime created_at,
                        std::optional<std::uint32_t> reserved = std::nullopt);
  // A uid index that no cell has; it rests. Throws Error `exhausted`, reason `no_uid_range`.
  std::uint32_t reserve_uid_index();
  std::optional<CellRow> find_cell(std::string_view cell_id);
  std::optional<CellRow> find_customer(std::string_view owner_id, std::string_view customer_id);
  // Oldest first.
  std::vector<CellRow> cells_of(std::string_view owner_id);
  std::vector<CellRow> cells();
  // Frees the uid index, unless it rests: files that outlive the cell would belong to the next one.
  // False where there was none.
  bool remove_cell(std::string_view cell_id);
  // No cell gets the index until it rests no more. Not kept beyond this object.
  void rest_uid_index(std::uint32_t index) { resting_.insert(index); }
  void end_rest(std::uint32_t index) { resting_.erase(index); }

  // Oldest first.
  std::vector<DomainRow> domains();
  // Adds the domain, or replaces what is known of it. The owner is made where there is none.
  void put_domain(const DomainRow& row);
  bool remove_domain(std::string_view domain);

  // Replaces what is known of cells. Owners, keys, domains and default agents stay. Throws Error
  // `corrupt`, reason `registry_rows`, naming both cells, where two share an id, a customer or a
  // uid index, and for a uid index out of range; nothing is changed then.
  void rebuild(const std::vector<CellRow>& rows);

 private:
  void make_domain_table();
  void make_key_table();
  std::uint32_t pick_uid_index();
  std::optional<std::int64_t> first_free_uid_index(std::int64_t from);
  std::optional<std::int64_t> first_rested_uid_index(std::int64_t from);

  Database database_;
  std::uint32_t uid_index_count_;
  std::set<std::int64_t> resting_;
};

}  // namespace cellar::store
