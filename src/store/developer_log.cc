#include "store/developer_log.h"

#include "base/error.h"

namespace cellar::store {
namespace {

std::size_t size_of(const DeveloperLine& line) {
  return line.type.size() + line.message.size() + line.meta.size();
}

}  // namespace

DeveloperLog::DeveloperLog(Database& database, const DeveloperLogLimits& limits)
    : database_(database), limits_(limits) {
  Statement statement(database_, "SELECT count(*), ifnull(sum(size_bytes), 0) FROM developer_log");
  if (!statement.next()) return;
  size_.line_count = static_cast<std::size_t>(statement.integer(0));
  size_.bytes = static_cast<std::size_t>(statement.integer(1));
}

void DeveloperLog::append(const DeveloperLine& line) {
  const std::size_t size = size_of(line);
  if (size > kLineBytesMax) {
    throw Error(ErrorCode::too_large, "value_too_large",
                "a journal line of " + std::to_string(size) + " bytes; at most " +
                    std::to_string(kLineBytesMax) + " fit");
  }
  const Size before = size_;
  try {
    Transaction transaction(database_);
    drop_oldest(size);
    database_.run(
        "INSERT INTO developer_log (at_ms, type, message, meta, size_bytes) VALUES (?, ?, ?, ?, ?)",
        to_unix_ms(line.at), Bytes{line.type}, Bytes{line.message}, Bytes{line.meta},
        static_cast<std::int64_t>(size));
    transaction.commit();
  } catch (...) {  // Nothing was dropped after all.
    size_ = before;
    throw;
  }
  ++size_.line_count;
  size_.bytes += size;
}

void DeveloperLog::drop_oldest(std::size_t bytes_needed) {
  while (size_.line_count > 0 && (size_.line_count >= limits_.line_count_max ||
                                  size_.bytes + bytes_needed > limits_.bytes_max)) {
    Statement statement(database_,
                        "DELETE FROM developer_log WHERE place ="
                        " (SELECT min(place) FROM developer_log) RETURNING size_bytes");
    if (!statement.next()) return;
    size_.bytes -= static_cast<std::size_t>(statement.integer(0));
    --size_.line_count;
  }
}

std::vector<DeveloperLine> DeveloperLog::entries() {
  Statement statement(database_,
                      "SELECT at_ms, type, message, meta FROM developer_log ORDER BY place");
  std::vector<DeveloperLine> lines;
  while (statement.next()) {
    lines.push_back({from_unix_ms(statement.integer(0)), statement.text(1), statement.text(2),
                     statement.text(3)});
  }
  return lines;
}

void DeveloperLog::clear() {
  database_.run("DELETE FROM developer_log");
  size_ = Size();
}

}  // namespace cellar::store
