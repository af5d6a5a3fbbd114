#include "store/call_answers.h"

#include <algorithm>

namespace cellar::store {

CallAnswers::CallAnswers(Database& database) : database_(database) {
  database_.run(kTable);  // Files of before have none.
}

std::optional<std::string> CallAnswers::find(const CallPlace& place) {
  Statement statement(database_,
                      "SELECT answer FROM call_answers WHERE run = ? AND ordinal = ? AND what = ?",
                      std::int64_t{place.run}, std::int64_t{place.ordinal}, Bytes{place.what});
  if (!statement.next()) return std::nullopt;
  return statement.text(0);
}

void CallAnswers::keep(const CallPlace& place, std::string_view answer) {
  database_.run("DELETE FROM call_answers WHERE run = ? AND ordinal <= ?", std::int64_t{place.run},
                std::int64_t{place.kept_to});
  if (!place.going.empty()) forget_all_but(place.going);
  database_.run(
      "INSERT OR REPLACE INTO call_answers (run, ordinal, what, answer) VALUES (?, ?, ?, ?)",
      std::int64_t{place.run}, std::int64_t{place.ordinal}, Bytes{place.what}, Bytes{answer});
}

std::size_t CallAnswers::count() {
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
