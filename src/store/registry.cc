#include "store/registry.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"

namespace cellar::store {
namespace {

constexpr int kRegistryVersion = 1;

// Nothing reads `default_agent`; registries that are there have it.
constexpr std::string_view kRegistrySchema = R"(
  CREATE TABLE owners (
    owner_id TEXT NOT NULL PRIMARY KEY,
    default_agent TEXT NOT NULL DEFAULT '') STRICT;
  CREATE TABLE api_keys (
    key_sha256 BLOB NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES owners) STRICT;
  CREATE TABLE cells (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    cell_id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL REFERENCES owners,
    customer_id TEXT NOT NULL,
    uid_index INTEGER NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    UNIQUE (owner_id, customer_id)) STRICT;
  CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  INSERT INTO counters VALUES ('next_uid_index', 0);
)";

constexpr std::string_view kInsertCell =
    "INSERT INTO cells (cell_id, owner_id, customer_id, uid_index, created_at_ms)"
    " VALUES (?, ?, ?, ?, ?)";

CellRow row_of(const Statement& statement) {
  return {.cell_id = statement.text(0),
          .owner_id = statement.text(1),
          .customer_id = statement.text(2),
          .uid_index = static_cast<std::uint32_t>(statement.integer(3)),
          .created_at = from_unix_ms(statement.integer(4))};
}

[[noreturn]] void throw_bad_row(const std::string& message) {
  throw Error(ErrorCode::corrupt, "registry_rows", message,
              "one of the two is probably a copy: move its folder out of the state folder");
}

// Throws where a second row has the same `key` as an earlier one.
template <typename Key>
void claim(std::map<Key, std::string>& taken, Key key, const CellRow& row, std::string_view what) {
  const auto [place, is_new] = taken.emplace(std::move(key), row.cell_id);
  if (is_new) return;
  throw_bad_row("the cells " + place->second + " and " + row.cell_id + " have the same " +
                std::string(what));
}

void check_rows(const std::vector<CellRow>& rows, std::uint32_t uid_index_count) {
  std::map<std::string, std::string> ids;
  std::map<std::uint32_t, std::string> uid_indexes;
  std::map<std::pair<std::string, std::string>, std::string> customers;
  for (const CellRow& row : rows) {
    if (row.uid_index >= uid_index_count) {
      throw_bad_row("the cell " + row.cell_id + " has the uid index " +
                    std::to_string(row.uid_index) + ", which is out of range");
    }
    claim(ids, row.cell_id, row, "id");
    claim(uid_indexes, row.uid_index, row, "uid index");
    claim(customers, std::pair(row.owner_id, row.customer_id), row, "customer");
  }
}

}  // namespace

Registry::Registry(const std::string& path, std::uint32_t uid_index_count)
    : database_(path, kRegistryVersion, kRegistrySchema), uid_index_count_(uid_index_count) {
  make_domain_table();
  make_key_table();
}

void Registry::add_owner(std::string_view owner_id) {
  if (owner_id.empty() || owner_id.size() > kOwnerBytesMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_owner",
                "an owner must be 1 to " + std::to_string(kOwnerBytesMax) + " characters");
  }
  database_.run("INSERT OR IGNORE INTO owners (owner_id) VALUES (?)", owner_id);
}

std::vector<std::string> Registry::owners() {
  Statement statement(database_, "SELECT owner_id FROM owners ORDER BY owner_id");
  std::vector<std::string> owners;
  while (statement.next()) owners.push_back(statement.text(0));
  return owners;
}

std::optional<std::int64_t> Registry::first_free_uid_index(std::int64_t from) {
  // `from` itself, or else the place behind a cell that has no cell behind it.
  Statement statement(database_,
                      "SELECT min(free) FROM ("
                      "SELECT ?1 AS free WHERE NOT EXISTS"
                      " (SELECT 1 FROM cells WHERE uid_index = ?1)"
                      " UNION ALL SELECT uid_index + 1 FROM cells AS before"
                      " WHERE uid_index >= ?1 AND NOT EXISTS"
                      " (SELECT 1 FROM cells WHERE uid_index = before.uid_index + 1))",
                      from);
  if (!statement.next() || statement.integer(0) >= uid_index_count_) return std::nullopt;
  return statement.integer(0);
}

std::optional<std::int64_t> Registry::first_rested_uid_index(std::int64_t from) {
  auto index = first_free_uid_index(from);
  while (index && resting_.contains(*index)) index = first_free_uid_index(*index + 1);
  return index;
}

// From the place behind the last one that was given, so that a freed index rests.
std::uint32_t Registry::pick_uid_index() {
  std::int64_t from = 0;
  {
    Statement statement(database_, "SELECT value FROM counters WHERE name = 'next_uid_index'");
    if (statement.next()) from = statement.integer(0);
  }
  auto index = first_rested_uid_index(from);
  if (!index) index = first_rested_uid_index(0);
  if (!index) {
    throw Error(ErrorCode::exhausted, "no_uid_range",
                "all " + std::to_string(uid_index_count_) + " uid ranges of this host are in use",
                "delete cells that nobody needs");
  }
  database_.run("UPDATE counters SET value = ? WHERE name = 'next_uid_index'", *index + 1);
  return static_cast<std::uint32_t>(*index);
}

Registry::Added Registry::get_or_add_cell(std::string_view cell_id, std::string_view owner_id,
                                          std::string_view customer_id, WallTime created_at,
                                          std::optional<std::uint32_t> reserved) {
  Transaction transaction(database_);
  if (auto present = find_customer(owner_id, customer_id)) return {*std::move(present), false};
  add_owner(owner_id);
  const std::uint32_t uid_index = reserved ? *reserved : pick_uid_index();
  database_.run(kInsertCell, cell_id, owner_id, customer_id, std::int64_t{uid_index},
                to_unix_ms(created_at));
  transaction.commit();
  if (reserved) end_rest(*reserved);
  return {*find_cell(cell_id), true};
}

std::uint32_t Registry::reserve_uid_index() {
  Transaction transaction(database_);
  const std::uint32_t index = pick_uid_index();
  transaction.commit();
  rest_uid_index(index);
  return index;
}

std::optional<CellRow> Registry::find_cell(std::string_view cell_id) {
  Statement statement(database_,
                      "SELECT cell_id, owner_id, customer_id, uid_index, created_at_ms FROM cells"
                      " WHERE cell_id = ?",
                      cell_id);
  if (!statement.next()) return std::nullopt;
  return row_of(statement);
}

std::optional<CellRow> Registry::find_customer(std::string_view owner_id,
                                               std::string_view customer_id) {
  Statement statement(database_,
                      "SELECT cell_id, owner_id, customer_id, uid_index, created_at_ms FROM cells"
                      " WHERE owner_id = ? AND customer_id = ?",
                      owner_id, customer_id);
  if (!statement.next()) return std::nullopt;
  return row_of(statement);
}

std::vector<CellRow> Registry::cells_of(std::string_view owner_id) {
  Statement statement(database_,
                      "SELECT cell_id, owner_id, customer_id, uid_index, created_at_ms FROM cells"
                      " WHERE owner_id = ? ORDER BY created_at_ms, place",
                      owner_id);
  std::vector<CellRow> rows;
  while (statement.next()) rows.push_back(row_of(statement));
  return rows;
}

std::vector<CellRow> Registry::cells() {
  Statement statement(database_,
                      "SELECT cell_id, owner_id, customer_id, uid_index, created_at_ms FROM cells"
                      " ORDER BY created_at_ms, place");
  std::vector<CellRow> rows;
  while (statement.next()) rows.push_back(row_of(statement));
  return rows;
}

bool Registry::remove_cell(std::string_view cell_id) {
  return database_.run("DELETE FROM cells WHERE cell_id = ?", cell_id) > 0;
}

void Registry::rebuild(const std::vector<CellRow>& rows) {
  check_rows(rows, uid_index_count_);
  Transaction transaction(database_);
  database_.run("DELETE FROM cells");
  std::int64_t next = 0;
  for (const CellRow& row : rows) {
    add_owner(row.owner_id);
    database_.run(kInsertCell, row.cell_id, row.owner_id, row.customer_id,
                  std::int64_t{row.uid_index}, to_unix_ms(row.created_at));
    next = std::max<std::int64_t>(next, row.uid_index + std::int64_t{1});
  }
  database_.run("UPDATE counters SET value = max(value, ?) WHERE name = 'next_uid_index'", next);
  transaction.commit();
}

}  // namespace cellar::store
