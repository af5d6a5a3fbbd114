#include "search/language.h"

namespace cellar::search {

namespace {

struct Row {
  std::string_view suffix;
  Language language;
};

constexpr Row kRows[] = {
    {"c", {"c", Family::c}},
    {"h", {"c", Family::c}},
    {"cc", {"cpp", Family::c}},
    {"cpp", {"cpp", Family::c}},
    {"cxx", {"cpp", Family::c}},
    {"hh", {"cpp", Family::c}},
    {"hpp", {"cpp", Family::c}},
    {"hxx", {"cpp", Family::c}},
    {"inc", {"cpp", Family::c}},
    {"m", {"objective-c", Family::c}},
    {"mm", {"objective-c", Family::c}},
    {"java", {"java", Family::java}},
    {"cs", {"csharp", Family::java}},
    {"kt", {"kotlin", Family::java}},
    {"kts", {"kotlin", Family::java}},
    {"scala", {"scala", Family::java}},
    {"swift", {"swift", Family::java}},
    {"dart", {"dart", Family::java}},
    {"groovy", {"groovy", Family::java}},
    {"js", {"javascript", Family::js}},
    {"jsx", {"javascript", Family::js}},
    {"mjs", {"javascript", Family::js}},
    {"cjs", {"javascript", Family::js}},
    {"ts", {"typescript", Family::js}},
    {"tsx", {"typescript", Family::js}},
    {"mts", {"typescript", Family::js}},
    {"cts", {"typescript", Family::js}},
    {"vue", {"vue", Family::js}},
    {"svelte", {"svelte", Family::js}},
    {"go", {"go", Family::go}},
    {"hs", {"haskell", Family::haskell}},
    {"lhs", {"haskell", Family::haskell}},
    {"php", {"php", Family::php}},
    {"py", {"python", Family::python}},
    {"pyi", {"python", Family::python}},
    {"rb", {"ruby", Family::ruby}},
    {"rake", {"ruby", Family::ruby}},
    {"rs", {"rust", Family::rust}},
    {"sh", {"shell", Family::shell}},
    {"bash", {"shell", Family::shell}},
    {"zsh", {"shell", Family::shell}},
    {"bats", {"shell", Family::shell}},
    {"lua", {"lua", Family::other}},
    {"ex", {"elixir", Family::other}},
    {"exs", {"elixir", Family::other}},
    {"erl", {"erlang", Family::other}},
    {"jl", {"julia", Family::other}},
    {"pl", {"perl", Family::other}},
    {"pm", {"perl", Family::other}},
    {"r", {"r", Family::other}},
    {"R", {"r", Family::other}},
    {"ml", {"ocaml", Family::other}},
    {"mli", {"ocaml", Family::other}},
    {"fs", {"fsharp", Family::other}},
    {"clj", {"clojure", Family::other}},
    {"zig", {"zig", Family::other}},
    {"nim", {"nim", Family::other}},
    {"sql", {"sql", Family::other}},
    {"proto", {"protobuf", Family::other}},
    {"graphql", {"graphql", Family::other}},
    {"tf", {"terraform", Family::other}},
    {"css", {"css", Family::text}},
    {"scss", {"scss", Family::text}},
    {"html", {"html", Family::text}},
    {"md", {"markdown", Family::text}},
    {"mdx", {"markdown", Family::text}},
    {"rst", {"rst", Family::text}},
    {"txt", {"text", Family::text}},
    {"json", {"json", Family::text}},
    {"yaml", {"yaml", Family::text}},
    {"yml", {"yaml", Family::text}},
    {"toml", {"toml", Family::text}},
    {"xml", {"xml", Family::text}},
};

}  // namespace

Language language_of(std::string_view path) noexcept {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0.
  const auto dot = name.rfind('.');
  if (dot == name.npos) return {};
  const std::string_view suffix = name.substr(dot + 1);
  for (const Row& row : kRows) {
    if (row.suffix == suffix) return row.language;
  }
  return {};
}

bool is_language(std::string_view name) noexcept {
  for (const Row& row : kRows) {
    if (row.language.name == name) return true;
  }
  return false;
}

}  // namespace cellar::search
