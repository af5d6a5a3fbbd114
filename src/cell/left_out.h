#pragma once

#include <cstdint>
#include <string>

#include "search/ignore.h"
#include "sys/beneath.h"

namespace cellar::cell {

// Which files of a cell are looked at: those that search knows of, or all.
enum class WorkScope : std::uint8_t { searched, all };

// What search leaves out of a cell's files, as far as a walk has come: what a .gitignore names, and
// folders of version control, packages and caches. Not thread-safe; blocking.
class LeftOut {
 public:
  // `work` must outlive it.
  explicit LeftOut(const sys::BeneathDir& work, WorkScope scope = WorkScope::searched,
                   const search::IgnoreRules::Limits& limits = search::IgnoreRules::Limits())
      : work_(&work), scope_(scope), rules_(limits) {}

  // Reads the folder's .gitignore; comes before the questions about what is in it.
  void read_rules(const std::string& folder);
  // The same of the folders above, from the root on.
  void read_rules_above(const std::string& folder);

  bool folder(const std::string& path) const;
  bool file(const std::string& path) const;
  // Patterns made to be slow: everything is left out from then on.
  bool exhausted() const noexcept { return rules_.exhausted(); }

 private:
  const sys::BeneathDir* work_;
  WorkScope scope_;
  search::IgnoreRules rules_;
};

inline constexpr std::string_view kIgnoreFile = ".gitignore";

}  // namespace cellar::cell
