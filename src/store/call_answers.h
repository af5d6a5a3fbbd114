#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"

namespace cellar::store {

// Where a run calls what changes the database.
struct CallPlace {
  std::uint32_t run = 0;
  std::uint32_t ordinal = 0;  // among all that the run asks for
  std::string what;  // of which run, and with which arguments: the same where it is made again
  std::uint32_t kept_to = 0;  // the run's record elsewhere has the answers up to this ordinal
  // The runs that may go on, ascending. Empty: it is not looked at now.
  std::vector<std::uint32_t> going;
};

// What calls of runs gave that changed the database, in the same transaction as the change: a call
// that is made again because its record was lost gets that answer, and changes nothing.
class CallAnswers {
 public:
  // Also where the table is there already.
  static constexpr std::string_view kTable = R"(
  CREATE TABLE IF NOT EXISTS call_answers (
    run INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    what BLOB NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (run, ordinal)) STRICT, WITHOUT ROWID)";

  // `database` must outlive it.
  explicit CallAnswers(Database& database) : database_(database) {}

  // nullopt where it was not made.
  std::optional<std::string> find(const CallPlace& place);
  // Also forgets what is not needed any more: answers of the run that are kept elsewhere, and of
  // older runs that do not go on.
  void keep(const CallPlace& place, std::string_view answer);
  std::size_t count();

 private:
  bool is_there();
  void forget_all_but(const std::vector<std::uint32_t>& going);

  Database& database_;
  bool is_there_ = false;  // the table, as somebody has seen
};

}  // namespace cellar::store
