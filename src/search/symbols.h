#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "search/language.h"

namespace cellar::search {

enum class SymbolKind : std::uint8_t { function, type, module, macro, value, other };

// "function", "type", …, as clients see it.
std::string_view to_string(SymbolKind kind) noexcept;

// A name that a line of code defines.
struct Symbol {
  std::uint32_t begin = 0;  // Bytes [begin, begin + size) of the text.
  std::uint32_t size = 0;
  SymbolKind kind = SymbolKind::function;
};

// The definitions in a source text, in order, found line by line without parsing: names the usual
// way of writing them, and is wrong now and then. Takes time linear in the text.
std::vector<Symbol> find_symbols(std::string_view text, Family family);

}  // namespace cellar::search
