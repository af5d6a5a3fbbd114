#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace re2 {
class RE2;
}

namespace cellar::search {

// A regular expression (RE2's syntax): searching takes time linear in the text, whatever the
// expression is. `^` and `$` are the ends of lines. May be used by several threads.
class Regex {
 public:
  static constexpr std::size_t kPatternBytesMax = 1024;

  // Throws Error `invalid_argument`, reason `invalid_regex`, which says what is wrong with it.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  struct Match {
    std::size_t begin = 0;  // Bytes [begin, end) of the text.
    std::size_t end = 0;
  };
  // The first match at or behind `from`.
  std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  std::unique_ptr<re2::RE2> compiled_;
};

}  // namespace cellar::search
