#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"

namespace cellar::store {

// The documents that the agent added to search with ctx.search.index(path, text). They are kept
// here because the search index itself can be thrown away at any time and rebuilt. A path is only a
// name ("README.md#install"); putting it again replaces its text.
//
// Besides what Database says, calls throw Error `invalid_argument`, reason `invalid_path`,
// `too_large` for a text above kTextBytesMax, and `exhausted`, reason `too_many_documents`.
class Documents {
 public:
  static constexpr std::size_t kPathBytesMax = 4 << 10;
  static constexpr std::size_t kTextBytesMax = 4 << 20;
  static constexpr std::size_t kCountMax = 100'000;

  // `database` must outlive it.
  explicit Documents(Database& database, std::size_t count_max = kCountMax)
      : database_(database), count_max_(count_max) {}

  void put(std::string_view path, std::string_view text);
  // In the order of their bytes.
  std::vector<std::string> list();
  // Calls `visit` for each document; it must not use this database meanwhile.
  using Visit = std::function<void(std::string_view path, std::string_view text)>;
  void for_each(const Visit& visit);
  // False where there was none.
  bool remove(std::string_view path);

 private:
  Database& database_;
  std::size_t count_max_;
};

}  // namespace cellar::store
