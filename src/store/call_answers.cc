#include "store/call_answers.h"

#include <algorithm>

namespace cellar::store {

// Files of before have no table until the first answer is kept: a full one is opened all the same.
bool CallAnswers::is_there() {
  if (is_there_) return true;
  Statement table(database_, "SELECT 1 FROM sqlite_schema WHERE name = 'call_answers'");
  is_there_ = table.next();
  return is_there_;
}

std::optional<std::string> CallAnswers::find(const CallPlace& place) {
  if (!is_there()) return std::nullopt;
  Statement statement(database_,
                      "SELECT answer FROM call_answers WHERE run = ? AND ordinal = ? AND what = ?",
                      std::int64_t{place.run}, std::int64_t{place.ordinal}, Bytes{place.what});
  if (!statement.next()) return std::nullopt;
  return statement.text(0);
}

void CallAnswers::keep(const CallPlace& place, std::string_view answer) {
  if (!is_there_) database_.run(kTable);  // Its transaction may fail still: find() looks again.
  database_.run("DELETE FROM call_answers WHERE run = ? AND ordinal <= ?", std::int64_t{place.run},
                std::int64_t{place.kept_to});
  if (!place.going.empty()) forget_all_but(place.going);
  database_.run(
      "INSERT OR REPLACE INTO call_answers (run, ordinal, what, answer) VALUES (?, ?, ?, ?)",
      std::int64_t{place.run}, std::int64_t{place.ordinal}, Bytes{place.what}, Bytes{answer});
}

std::size_t CallAnswers::count() {
  if (!is_there()) return 0;
  Statement statement(database_, "SELECT count(*) FROM call_answers");
  return statement.next() ? static_cast<std::size_t>(statement.integer(0)) : 0;
}

// Newer runs than the last of them may have begun since somebody looked.
void CallAnswers::forget_all_but(const std::vector<std::uint32_t>& going) {
  std::vector<std::int64_t> over;
  {
    Statement statement(database_, "SELECT DISTINCT run FROM call_answers WHERE run < ?",
                        std::int64_t{going.back()});
    while (statement.next()) {
      const std::int64_t run = statement.integer(0);
      if (!std::binary_search(going.begin(), going.end(), run)) over.push_back(run);
    }
  }
  for (const std::int64_t run : over) {
    database_.run("DELETE FROM call_answers WHERE run = ?", run);
  }
}

}  // namespace cellar::store
