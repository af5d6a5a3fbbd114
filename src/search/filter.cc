#include "search/filter.h"

#include <algorithm>

#include "base/error.h"
#include "search/language.h"

namespace cellar::search {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_argument, "invalid_field", what);
}

}  // namespace

Filter::Filter(const std::vector<std::string>& patterns, const std::vector<std::string>& languages)
    : patterns_(patterns), languages_(languages) {
  if (patterns.size() > kPatternsMax) {
    refuse("\"paths\" must be at most " + std::to_string(kPatternsMax) + " patterns");
  }
  if (languages.size() > kLanguagesMax) {
    refuse("\"languages\" must be at most " + std::to_string(kLanguagesMax) + " names");
  }
  for (const std::string& pattern : patterns) {
    if (pattern.empty() || pattern.size() > kPatternBytesMax ||
        pattern.find('\n') != pattern.npos) {
      refuse("each of \"paths\" must be a pattern as in .gitignore, of 1 to " +
             std::to_string(kPatternBytesMax) + " bytes");
    }
    rules_.add(".", pattern);
  }
  for (const std::string& language : languages) {
    if (is_language(language)) continue;
    refuse(
        "\"languages\" must be names as search results have them, like \"python\" or \"cpp\": \"" +
        language + "\" is none");
  }
}

bool Filter::passes(std::string_view path, std::string_view language) const {
  if (!languages_.empty() &&
      std::find(languages_.begin(), languages_.end(), language) == languages_.end()) {
    return false;
  }
  const bool passes = patterns_.empty() || path_passes(path);
  if (rules_.exhausted()) refuse("\"paths\" must be simpler patterns: comparing takes too long");
  return passes;
}

bool Filter::path_passes(std::string_view path) const {
  bool named = patterns_.front()[0] == '!';
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    named = rules_.names(path.substr(0, slash), PathKind::folder).value_or(named);
  }
  return rules_.names(path, PathKind::file).value_or(named);
}

}  // namespace cellar::search
