#include "store/cell_store.h"

namespace cellar::store {
namespace {

constexpr int kVersion = 1;

// User bytes are BLOBs: any byte may be in them, NUL too, and they are ordered as such.
// AUTOINCREMENT keeps a place from being used twice, so that the order of places is that of
// creation.
constexpr std::string_view kSchema = R"(
  CREATE TABLE key_value (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE records (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    entity BLOB NOT NULL,
    id BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (entity, id)) STRICT;
  CREATE INDEX records_in_order ON records (entity, place);
  CREATE TABLE developer_log (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    type BLOB NOT NULL,
    message BLOB NOT NULL,
    meta BLOB NOT NULL,
    size_bytes INTEGER NOT NULL) STRICT;
  CREATE TABLE documents (path BLOB NOT NULL PRIMARY KEY, text BLOB NOT NULL) STRICT;
)";

}  // namespace

CellStore::CellStore(const std::string& path, const DatabaseOptions& options)
    : database_(path, kVersion, std::string(kSchema).append(CallAnswers::kTable), options),
      key_value(database_),
      entities(database_),
      developer_log(database_),
      documents(database_),
      meta(database_),
      call_answers(database_) {}

std::string CellStore::once(const CallPlace& place, const std::function<std::string()>& change) {
  if (auto answer = call_answers.find(place)) return *std::move(answer);
  const DeveloperLog::Size logged = developer_log.size();
  try {
    Transaction transaction(database_);
    std::string answer = change();
    call_answers.keep(place, answer);
    transaction.commit();
    return answer;
  } catch (...) {
    developer_log.set_back(logged);
    throw;
  }
}

}  // namespace cellar::store
