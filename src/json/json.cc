#include "json/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace cellar::json {
namespace {

// Builds our values from the parser's calls: a stack of open arrays and objects.
class Builder {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  using error_code = boost::json::error_code;
  using string_view = boost::json::string_view;

  explicit Builder(std::size_t value_count_max) : values_left_(value_count_max) {}

  Value take() { return std::move(root_); }
  // What the parser does not know of; empty where it failed by itself.
  const std::string& problem() const noexcept { return problem_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& error) { return open(Value(Object()), error); }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_array_begin(error_code& error) { return open(Value(Array()), error); }
  bool on_array_end(std::size_t, error_code&) { return close(); }
  bool on_key_part(string_view part, std::size_t, error_code&) { return gather(part); }
  bool on_key(string_view part, std::size_t, error_code&) {
    gather(part);
    stack_.back().key = std::exchange(text_, {});
    return true;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) { return gather(part); }
  bool on_string(string_view part, std::size_t, error_code& error) {
    gather(part);
    return put(Value(std::exchange(text_, {})), error);
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(std::int64_t value, string_view, error_code& e) { return put(Value(value), e); }
  bool on_uint64(std::uint64_t value, string_view, error_code& e) { return put(Value(value), e); }
  // The parser's own value may be off by one unit in the last place (Boost < 1.82).
  bool on_double(double value, string_view text, error_code& error) {
    double exact = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), exact);
    if (read.ec == std::errc()) return put(Value(exact), error);
    if (std::abs(value) > 1) return refuse("a number is too large for a double", error);
    return put(Value(value), error);  // Too small for a double: what is left of it, mostly 0.
  }
  bool on_bool(bool value, error_code& error) { return put(Value(value), error); }
  bool on_null(error_code& error) { return put(Value(), error); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  struct Open {
    Value value;
    std::string key;
  };

  bool refuse(std::string problem, error_code& error) {
    problem_ = std::move(problem);
    error = boost::json::make_error_code(boost::json::error::syntax);
    return false;
  }
  bool count(error_code& error) {
    if (values_left_-- > 0) return true;
    return refuse("it holds too many values", error);
  }
  bool gather(string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool open(Value value, error_code& error) {
    if (!count(error)) return false;
    stack_.push_back({std::move(value), {}});
    return true;
  }
  bool close() {
    Value value = std::move(stack_.back().value);
    stack_.pop_back();
    attach(std::move(value));
    return true;
  }
  bool put(Value value, error_code& error) {
    if (!count(error)) return false;
    attach(std::move(value));
    return true;
  }
  void attach(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().value.is_array()) {
      stack_.back().value.as_array().push_back(std::move(value));
    } else {
      stack_.back().value.as_object().set(std::move(stack_.back().key), std::move(value));
    }
  }

  std::vector<Open> stack_;
  std::string text_;
  Value root_;
  std::size_t values_left_;
  std::string problem_;
};

// The code unit of the escape "\uXXXX" at `at`; nullopt where there is no such escape.
std::optional<unsigned> escaped_unit(std::string_view text, std::size_t at) noexcept {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
  unsigned unit = 0;
  const char* end = text.data() + at + 6;
  const auto read = std::from_chars(text.data() + at + 2, end, unit, 16);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return unit;
}

// `text` with each escape of a lone surrogate replaced by that of U+FFFD, which is as long, so that
// places in it stay the same. nullopt where there is none. A backslash stands only in strings.
std::optional<std::string> without_lone_surrogates(std::string_view text) {
  const auto is_between = [](std::optional<unsigned> unit, unsigned from, unsigned to) {
    return unit && *unit >= from && *unit <= to;
  };
  std::optional<std::string> changed;
  for (std::size_t at = text.find('\\'); at != text.npos; at = text.find('\\', at)) {
    const auto unit = escaped_unit(text, at);
    if (!unit) {
      at += 2;
    } else if (is_between(unit, 0xd800, 0xdbff) &&
               is_between(escaped_unit(text, at + 6), 0xdc00, 0xdfff)) {
      at += 12;
    } else {
      if (is_between(unit, 0xd800, 0xdfff)) {
        if (!changed) changed = std::string(text);
        changed->replace(at, 6, "\\ufffd");
      }
      at += 6;
    }
  }
  return changed;
}

[[noreturn]] void throw_invalid(std::string_view text, std::size_t offset,
                                const std::string& problem) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  throw Error(ErrorCode::invalid_argument, "invalid_json",
              "invalid JSON at line " + std::to_string(line) + ", column " +
                  std::to_string(column) + ": " + problem);
}

// The length of the UTF-8 sequence at the start of `bytes`; 0 where there is none.
std::size_t sequence_length(std::string_view bytes) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xf0 && at(1) < 0x90);
  const bool outside = (lead == 0xed && at(1) >= 0xa0) || (lead == 0xf4 && at(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

void append_escaped(std::string& out, unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  switch (byte) {
    case '"':
    case '\\':
      out += '\\';
      out += static_cast<char>(byte);
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
  }
}

// Writes a value. `indent` is the number of spaces a level, or -1 for no line ends at all.
class Writer {
 public:
  Writer(std::string& out, int indent) : out_(out), indent_(indent) {}

  void write(const Value& value) { std::visit(*this, value.data()); }

  void operator()(std::monostate) { out_ += "null"; }
  void operator()(bool flag) { out_ += flag ? "true" : "false"; }
  void operator()(std::int64_t number) { append_number(number); }
  void operator()(std::uint64_t number) { append_number(number); }
  void operator()(double number) {
    if (std::isfinite(number)) {
      append_number(number);
    } else {
      out_ += "null";
    }
  }
  void operator()(const std::string& text) { append_quoted(out_, text); }
  void operator()(const Array& items) {
    list('[', ']', items, [this](const Value& item) { write(item); });
  }
  void operator()(const Object& members) {
    list('{', '}', members, [this](const Object::Member& member) {
      append_quoted(out_, member.first);
      out_ += indent_ < 0 ? ":" : ": ";
      write(member.second);
    });
  }

 private:
  template <typename Number>
  void append_number(Number number) {
    char digits[32];  // hold any
    const auto written = std::to_chars(digits, digits + sizeof digits, number);
    out_.append(digits, written.ptr);
  }
  template <typename List, typename WriteItem>
  void list(char opening, char closing, const List& items, WriteItem write_item) {
    out_ += opening;
    ++level_;
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) out_ += ',';
      new_line();
      write_item(item);
    }
    --level_;
    if (!first) new_line();
    out_ += closing;
  }
  void new_line() {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(indent_) * level_, ' ');
  }

  std::string& out_;
  int indent_;
  std::size_t level_ = 0;
};

}  // namespace

Value parse(std::string_view text, const ParseLimits& limits) {
  const std::optional<std::string> changed = without_lone_surrogates(text);
  if (changed) text = *changed;

  boost::json::parse_options options;
  options.max_depth = limits.depth_max;
  boost::json::basic_parser<Builder> parser(options, limits.value_count_max);
  boost::json::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (error) {
    const std::string& problem = parser.handler().problem();
    throw_invalid(text, read, problem.empty() ? error.message() : problem);
  }
  if (read < text.size()) throw_invalid(text, read, "something follows its end");
  return parser.handler().take();
}

std::string dump(const Value& value) {
  std::string out;
  Writer(out, -1).write(value);
  return out;
}

std::string dump_pretty(const Value& value) {
  std::string out;
  Writer(out, 2).write(value);
  return out;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;  // of `text` before it, all but the last `at - plain` bytes are written
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool must_escape = byte < 0x20 || byte == '"' || byte == '\\';
    const std::size_t length = must_escape ? 0 : sequence_length(text.substr(at));
    if (length > 0) {
      at += length;
      continue;
    }
    out.append(text.substr(plain, at - plain));
    if (must_escape) {
      append_escaped(out, byte);
    } else {
      out += "\xef\xbf\xbd";
    }
    plain = ++at;
  }
  out.append(text.substr(plain));
  out += '"';
}

}  // namespace cellar::json
