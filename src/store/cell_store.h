#pragma once

#include <functional>
#include <string>

#include "store/call_answers.h"
#include "store/database.h"
#include "store/developer_log.h"
#include "store/documents.h"
#include "store/entities.h"
#include "store/key_value.h"

namespace cellar::store {

// All that is in a cell's db/cell.sqlite. The parts share one connection.
//
// Blocking, not thread-safe: for one pool job at a time (async::Serial keeps them apart), on
// whatever thread. Opening takes some milliseconds, and so does every first write to a page.
class CellStore {
 public:
  // Opens or creates the file; its folder must be there. Throws Error as Database says.
  explicit CellStore(const std::string& path, const DatabaseOptions& options = {});

  // Makes `change` and keeps what it gives, in one transaction; where that was done before at this
  // place, gives the same and changes nothing. Throws what `change` throws, with nothing changed.
  std::string once(const CallPlace& place, const std::function<std::string()>& change);

 private:
  Database database_;

 public:
  KeyValue key_value;
  Entities entities;
  DeveloperLog developer_log;
  Documents documents;
  Meta meta;
  CallAnswers call_answers;
};

}  // namespace cellar::store
