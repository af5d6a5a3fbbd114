#include "search/symbols.h"

#include <algorithm>
#include <initializer_list>

namespace cellar::search {
namespace {

using Keywords = std::initializer_list<std::string_view>;

// Longer lines are data, not definitions; looking at their start is enough.
constexpr std::size_t kLineBytesMax = 400;

bool in(std::string_view word, Keywords words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

// One line, read from the left.
class Scanner {
 public:
  explicit Scanner(std::string_view line) : line_(line) {}

  void skip_space() {
    while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t')) ++at_;
  }
  // The name at this place, after spaces; empty (and nothing is read) if there is none.
  std::string_view name() {
    skip_space();
    const std::size_t begin = at_;
    if (at_ == line_.size() || !is_name_start(line_[at_])) return {};
    while (at_ < line_.size() && is_name(line_[at_])) ++at_;
    return line_.substr(begin, at_ - begin);
  }
  bool take(std::string_view text) {
    skip_space();
    if (line_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }
  // Everything up to the bracket that closes the one at this place.
  void skip_brackets(char open, char close) {
    int depth = 0;
    for (; at_ < line_.size(); ++at_) {
      if (line_[at_] == open) ++depth;
      if (line_[at_] == close && --depth == 0) {
        ++at_;
        return;
      }
    }
  }
  char peek() {
    skip_space();
    return at_ < line_.size() ? line_[at_] : '\0';
  }
  std::string_view rest() const { return line_.substr(at_); }
  std::size_t place() const { return at_; }
  void go_to(std::size_t place) { at_ = place; }

 private:
  std::string_view line_;
  std::size_t at_ = 0;
};

bool is_modifier(std::string_view word) {
  return in(word, {"export",   "default",   "public",    "private",  "protected", "internal",
                   "static",   "final",     "abstract",  "async",    "virtual",   "inline",
                   "extern",   "constexpr", "consteval", "unsafe",   "override",  "open",
                   "sealed",   "partial",   "readonly",  "declare",  "pub",       "local",
                   "suspend",  "lazy",      "implicit",  "volatile", "native",    "synchronized",
                   "mutating", "friend",    "explicit",  "typedef",  "indirect",  "fileprivate"});
}

// Words after which a name follows. `definer` is the word that was read.
bool is_definer(std::string_view word, Family family) {
  switch (family) {
    case Family::c:
      return in(word, {"class", "struct", "enum", "union", "namespace", "concept", "using",
                       "@interface", "@implementation"});
    case Family::java:
      return in(word, {"class", "interface", "enum", "record", "trait", "object", "struct", "fun",
                       "func", "def", "protocol", "extension", "typealias", "mixin", "namespace"});
    case Family::js:
      return in(word, {"function", "class", "interface", "type", "enum", "namespace"});
    case Family::go:
      return in(word, {"func", "type"});
    case Family::haskell:
      return in(word, {"data", "newtype", "type", "class", "module"});
    case Family::php:
      return in(word, {"function", "class", "interface", "trait", "enum"});
    case Family::python:
      return in(word, {"def", "class"});
    case Family::ruby:
      return in(word, {"def", "class", "module"});
    case Family::rust:
      return in(word, {"fn", "struct", "enum", "trait", "type", "mod", "union", "macro_rules"});
    case Family::shell:
      return word == "function";
    case Family::other:
      return in(word,
                {"function", "def",     "defp", "defmodule", "defmacro", "sub",      "class",
                 "struct",   "module",  "type", "let",       "fn",       "proc",     "func",
                 "message",  "service", "enum", "package",   "defn",     "resource", "interface"});
    case Family::text:
      return false;
  }
  return false;
}

SymbolKind kind_of_definer(std::string_view definer) {
  if (in(definer, {"func", "fun", "fn", "def", "defp", "defn", "function", "sub", "proc"})) {
    return SymbolKind::function;
  }
  if (in(definer, {"namespace", "module", "mod", "package", "defmodule"})) {
    return SymbolKind::module;
  }
  if (in(definer, {"macro_rules", "defmacro"})) return SymbolKind::macro;
  if (in(definer, {"let", "message", "service", "resource"})) return SymbolKind::other;
  return SymbolKind::type;
}

struct Definition {
  std::string_view name;  // Empty: the line defines nothing.
  SymbolKind kind = SymbolKind::function;
};

bool is_control_word(std::string_view word) {
  return in(word,
            {"if",      "for",    "while",   "switch",   "return",  "catch",         "sizeof",
             "else",    "do",     "new",     "throw",    "delete",  "await",         "yield",
             "typeof",  "assert", "defined", "case",     "and",     "not",           "or",
             "elif",    "try",    "with",    "foreach",  "using",   "lock",          "in",
             "of",      "super",  "this",    "function", "require", "import",        "decltype",
             "alignas", "until",  "unless",  "when",     "match",   "static_assert", "noexcept",
             "goto"});
}

// The name after a definer: past receivers, attributes and macros.
std::string_view name_after_definer(Scanner& scan, std::string_view definer, Family family,
                                    std::string_view line) {
  if (family == Family::go && definer == "func" && scan.peek() == '(') scan.skip_brackets('(', ')');
  if (family == Family::ruby) {
    const std::size_t place = scan.place();
    if (scan.name() != "self" || !scan.take(".")) scan.go_to(place);
  }
  if (definer == "function") scan.take("*");
  if (definer == "macro_rules") scan.take("!");
  if (definer == "fun" && scan.peek() == '<') scan.skip_brackets('<', '>');
  std::string_view name = scan.name();
  if (family == Family::php && name.empty() && scan.take("&")) name = scan.name();
  // class EXPORT_MACRO Name {, enum class Name, class data Name, Kotlin's fun Receiver.name(.
  const bool last_name_counts = family == Family::c || family == Family::java;
  while (last_name_counts && !name.empty()) {
    if (family == Family::java && scan.peek() == '.') scan.take(".");
    if (scan.peek() == '(' && family == Family::c && definer != "namespace") {
      scan.skip_brackets('(', ')');  // alignas(8), __attribute__((…))
    }
    if (family == Family::c && scan.take("::")) {
    }
    const std::string_view next = scan.name();
    if (next.empty() || in(next, {"final", "extends", "implements", "where", "with", "is",
                                  "permits", "derives", "throws", "async"})) {
      break;
    }
    name = next;
  }
  if (family == Family::ruby || family == Family::haskell) {
    // module A::B defines B; instance heads and contexts are left as they are.
    while (scan.take("::")) {
      if (const auto next = scan.name(); !next.empty()) name = next;
    }
  }
  const bool forward_declaration = family == Family::c && definer != "using" && !line.empty() &&
                                   line.back() == ';' && line.find('{') == line.npos;
  if (forward_declaration && line.substr(0, 7) != "typedef") return {};
  if (definer == "using" && scan.peek() != '=') return {};
  return name;
}

// `Type name(args) {`, `A::name(args)`, `name(args) {`: the name before the first '(' where the
// line looks like the head of a function.
std::string_view function_head(std::string_view line, Family family) {
  const auto open = line.find('(');
  if (open == line.npos || open == 0) return {};
  const std::size_t indent = line.find_first_not_of(" \t");
  std::size_t end = open;
  while (end > 0 && line[end - 1] == ' ') --end;
  std::size_t begin = end;
  while (begin > 0 && (is_name(line[begin - 1]) || line[begin - 1] == '~')) --begin;
  const std::string_view name = line.substr(begin, end - begin);
  const std::string_view letters = name.substr(0, 1) == "~" ? name.substr(1) : name;
  if (letters.empty() || !is_name_start(letters[0]) || is_control_word(name)) return {};
  const std::string_view before = line.substr(indent, begin - std::min(begin, indent));
  const std::string_view trimmed = line.substr(0, line.find_last_not_of(" \t\r") + 1);
  const char last = trimmed.back();
  if (last == ';') return {};
  if (before.find_first_of("=(\"'.,+|!?;") != before.npos) return {};
  const std::string_view first_word = before.substr(0, before.find_first_of(" \t"));
  if (is_control_word(first_word) || first_word == "#define") return {};
  switch (family) {
    case Family::c:
      if (last != '{' && last != ',' && last != ')' && trimmed.find('{') == trimmed.npos &&
          last != '(' && last != 't') {
        return {};
      }
      if (before.empty() && indent > 0) return {};
      return begin == 0 && last != '{' ? std::string_view() : name;
    case Family::java:
      return before.empty() || (last != '{' && last != ',' && last != ')' && last != '(')
                 ? std::string_view()
                 : name;
    case Family::js:
      return last == '{' || (!before.empty() && last == '(') ? name : std::string_view();
    case Family::shell:
      return before.empty() && line.substr(open, 2) == "()" ? name : std::string_view();
    default:
      return {};
  }
}

// `const name = (…) =>`, `exports.name =`, `A.prototype.name = function`, `name: function`.
Definition js_assignment(std::string_view line) {
  Scanner scan(line);
  std::string_view word = scan.name();
  const std::size_t indent = line.find_first_not_of(" \t");
  bool exported = false;
  while (in(word, {"export", "default", "declare"})) {
    exported = true;
    word = scan.name();
  }
  const bool declared = in(word, {"const", "let", "var"});
  std::string_view name = declared ? scan.name() : word;
  bool member = false;
  while (!declared && scan.take(".")) {
    name = scan.name();
    member = true;
  }
  if (name.empty()) return {};
  if (scan.take(":") && !declared) {
    const bool is_method = scan.take("function") || scan.take("async function");
    return {is_method ? name : std::string_view(), SymbolKind::function};
  }
  const std::string_view rest = scan.rest();
  const auto equals = rest.find('=');
  if (equals == rest.npos || equals + 1 >= rest.size() || rest[equals + 1] == '=') return {};
  const bool function = rest.find("=>") != rest.npos || rest.find("function") != rest.npos;
  const bool type = !function && rest.find("class ") != rest.npos;
  const bool at_margin = indent == 0 && (declared || (member && scan.peek() == '='));
  if (!function && !type && !at_margin && !exported) return {};
  const auto kind = function ? SymbolKind::function : (type ? SymbolKind::type : SymbolKind::value);
  return {name, kind};
}

std::string_view haskell_signature(std::string_view line) {
  Scanner scan(line);
  if (line.empty() || !is_name_start(line[0])) return {};
  const std::string_view name = scan.name();
  return scan.take("::") ? name : std::string_view();
}

Definition symbol_in(std::string_view line, Family family) {
  Scanner scan(line);
  if (scan.peek() == '\0') return {};
  if (family == Family::c && scan.peek() == '#') {
    scan.take("#");
    const bool defines = scan.name() == "define";
    return {defines ? scan.name() : std::string_view(), SymbolKind::macro};
  }
  if (family == Family::c && scan.take("template") && scan.peek() == '<') {
    scan.skip_brackets('<', '>');
  }
  const std::size_t head = scan.place();
  for (;;) {
    const std::string_view word = scan.name();
    if (word.empty()) break;
    if (is_modifier(word) || (family == Family::js && word == "const") ||
        (family == Family::rust && in(word, {"const", "extern", "crate"})) ||
        (family == Family::java && in(word, {"data", "case", "inner", "companion", "const"}))) {
      if (word == "pub" && scan.peek() == '(') scan.skip_brackets('(', ')');
      if (family == Family::js && word == "const" && scan.peek() != 'e') break;
      continue;
    }
    if (is_definer(word, family)) {
      const auto name = name_after_definer(scan, word, family, line);
      if (!name.empty() && !is_control_word(name)) return {name, kind_of_definer(word)};
    }
    break;
  }
  scan.go_to(head);
  if (family == Family::haskell) return {haskell_signature(line)};
  if (family == Family::rust || family == Family::python) return {};
  if (family == Family::js) {
    if (const auto found = js_assignment(line); !found.name.empty()) return found;
  }
  return {function_head(line, family)};
}

bool is_comment(std::string_view line) {
  const auto at = line.find_first_not_of(" \t");
  if (at == line.npos) return true;
  const std::string_view code = line.substr(at);
  return code.substr(0, 2) == "//" || code.substr(0, 2) == "/*" || code.substr(0, 2) == "* " ||
         code == "*" || code.substr(0, 2) == "*/" || code.substr(0, 2) == "--";
}

}  // namespace

std::string_view to_string(SymbolKind kind) noexcept {
  switch (kind) {
    case SymbolKind::function:
      return "function";
    case SymbolKind::type:
      return "type";
    case SymbolKind::module:
      return "module";
    case SymbolKind::macro:
      return "macro";
    case SymbolKind::value:
      return "value";
    case SymbolKind::other:
      break;
  }
  return "other";
}

std::vector<Symbol> find_symbols(std::string_view text, Family family) {
  std::vector<Symbol> symbols;
  if (family == Family::text) return symbols;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, std::min(end - begin, kLineBytesMax));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (!is_comment(line)) {
      const auto [name, kind] = symbol_in(line, family);
      if (!name.empty()) {
        symbols.push_back({static_cast<std::uint32_t>(name.data() - text.data()),
                           static_cast<std::uint32_t>(name.size()), kind});
      }
    }
    begin = end + 1;
  }
  return symbols;
}

}  // namespace cellar::search
