#include "search/admission.h"

#include <algorithm>

namespace cellar::search {

Admission admit(std::string_view text) noexcept {
  constexpr std::size_t kMeanLineBytesMax = 200;
  // One paragraph on one line is no minified program.
  constexpr std::size_t kMinifiedFromBytes = 4096;
  if (text.size() > kFileBytesMax) return Admission::too_large;
  if (text.find('\0') != text.npos) return Admission::binary;
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  if (text.size() > kMinifiedFromBytes && text.size() / lines > kMeanLineBytesMax) {
    return Admission::minified;
  }
  return Admission::indexed;
}

bool is_skipped_folder(std::string_view name) noexcept {
  static constexpr std::string_view kNames[] = {
      ".bundle",       ".cache",        ".eggs",
      ".git",          ".gradle",       ".hg",
      ".idea",         ".mypy_cache",   ".next",
      ".npm",          ".nox",          ".nuxt",
      ".output",       ".parcel-cache", ".pnpm-store",
      ".pytest_cache", ".ruff_cache",   ".svelte-kit",
      ".svn",          ".terraform",    ".tox",
      ".turbo",        ".venv",         ".vscode",
      ".yarn",         "__pycache__",   "bower_components",
      "build",         "coverage",      "dist",
      "node_modules",  "site-packages", "target",
      "venv",
  };
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace cellar::search
