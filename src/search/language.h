#pragma once

#include <cstdint>
#include <string_view>

namespace cellar::search {

// How a language writes definitions and comments, as far as search cares.
enum class Family : std::uint8_t {
  text,  // No definitions: prose, data, and what we do not know.
  c,     // C, C++, Objective-C
  java,  // Java, C#, Kotlin, Scala, Swift, Dart
  js,    // JavaScript, TypeScript, Vue, Svelte
  go,
  haskell,
  php,
  python,
  ruby,
  rust,
  shell,
  other,  // Code of a language known by its keywords only.
};

struct Language {
  std::string_view name;  // "python"; "" for a text of unknown kind.
  Family family = Family::text;
};

// Chosen by the path's name alone.
Language language_of(std::string_view path) noexcept;

// Whether language_of() gives this name for some path.
bool is_language(std::string_view name) noexcept;

inline bool is_code(const Language& language) noexcept { return language.family != Family::text; }

}  // namespace cellar::search
