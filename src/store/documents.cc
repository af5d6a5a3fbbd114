#include "store/documents.h"

#include "base/error.h"
#include "base/text.h"

namespace cellar::store {
namespace {

void check_path(std::string_view path) {
  if (!path.empty() && path.size() <= Documents::kPathBytesMax && is_valid_utf8(path)) return;
  throw Error(
      ErrorCode::invalid_argument, "invalid_path",
      "a path must be 1 to " + std::to_string(Documents::kPathBytesMax) + " bytes of UTF-8");
}

}  // namespace

void Documents::put(std::string_view path, std::string_view text) {
  check_path(path);
  if (text.size() > kTextBytesMax) {
    throw Error(ErrorCode::too_large, "value_too_large",
                "a document of " + std::to_string(text.size()) + " bytes; at most " +
                    std::to_string(kTextBytesMax) + " fit");
  }
  Transaction transaction(database_);
  const bool replaced =
      database_.run("UPDATE documents SET text = ? WHERE path = ?", Bytes{text}, Bytes{path}) > 0;
  if (!replaced) {
    const std::int64_t added = database_.run(
        "INSERT INTO documents (path, text) SELECT ?, ?"
        " WHERE (SELECT count(*) FROM documents) < ?",
        Bytes{path}, Bytes{text}, static_cast<std::int64_t>(count_max_));
    if (added == 0) {
      throw Error(ErrorCode::exhausted, "too_many_documents",
                  "the cell has " + std::to_string(count_max_) + " indexed documents already");
    }
  }
  transaction.commit();
}

std::vector<std::string> Documents::list() {
  Statement statement(database_, "SELECT path FROM documents ORDER BY path");
  std::vector<std::string> paths;
  while (statement.next()) paths.push_back(statement.text(0));
  return paths;
}

void Documents::for_each(const Visit& visit) {
  Statement statement(database_, "SELECT path, text FROM documents ORDER BY path");
  while (statement.next()) visit(statement.bytes(0), statement.bytes(1));
}

bool Documents::remove(std::string_view path) {
  return database_.run("DELETE FROM documents WHERE path = ?", Bytes{path}) > 0;
}

}  // namespace cellar::store
