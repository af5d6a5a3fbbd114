// Domains of customers: names that lead to a cell's preview.

#include "base/error.h"
#include "store/registry.h"

namespace cellar::store {
namespace {

DomainRow domain_row_of(const Statement& statement) {
  return {.domain = statement.text(0),
          .owner_id = statement.text(1),
          .cell_id = statement.text(2),
          .challenge = statement.text(3),
          .is_verified = statement.integer(4) != 0,
          .created_at = from_unix_ms(statement.integer(5))};
}

}  // namespace

// A registry of before has no such table.
void Registry::make_domain_table() {
  database_.run(
      "CREATE TABLE IF NOT EXISTS domains ("
      " domain TEXT NOT NULL PRIMARY KEY,"
      " owner_id TEXT NOT NULL REFERENCES owners,"
      " cell_id TEXT NOT NULL,"
      " challenge TEXT NOT NULL,"
      " is_verified INTEGER NOT NULL,"
      " created_at_ms INTEGER NOT NULL) STRICT");
}

void Registry::put_domain(const DomainRow& row) {
  Transaction transaction(database_);
  add_owner(row.owner_id);
  database_.run(
      "INSERT INTO domains (domain, owner_id, cell_id, challenge, is_verified, created_at_ms)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (domain) DO UPDATE SET"
      " owner_id = ?2, cell_id = ?3, challenge = ?4, is_verified = ?5, created_at_ms = ?6",
      row.domain, row.owner_id, row.cell_id, row.challenge, std::int64_t{row.is_verified ? 1 : 0},
      to_unix_ms(row.created_at));
  transaction.commit();
}

bool Registry::remove_domain(std::string_view domain) {
  return database_.run("DELETE FROM domains WHERE domain = ?", domain) > 0;
}

std::vector<DomainRow> Registry::domains() {
  Statement statement(database_,
                      "SELECT domain, owner_id, cell_id, challenge, is_verified, created_at_ms"
                      " FROM domains ORDER BY created_at_ms, domain");
  std::vector<DomainRow> rows;
  while (statement.next()) rows.push_back(domain_row_of(statement));
  return rows;
}

}  // namespace cellar::store
