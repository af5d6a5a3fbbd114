#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "json/value.h"

namespace cellar::cli {

enum class Format : std::uint8_t { text, json };
enum class Look : std::uint8_t {
  terminal,  // for people: aligned columns with a heading
  plain,     // for pipes: columns with a tab between them, no heading
};

using Row = std::vector<std::string>;

// `text` fit for a terminal: a control character (what a cell wrote may try to steer the terminal)
// becomes U+FFFD, a line end U+23CE. Line ends and tabs stay where `lines` says so.
enum class Lines : std::uint8_t { none, keep };
std::string printable(std::string_view text, Lines lines = Lines::none);

// Rows of as many columns as the heading has.
std::string format_table(const Row& heading, const std::vector<Row>& rows, Look look);
// A member of an object a line: its name, and the value, strings without quotes.
std::string format_record(const json::Value& object, Look look);
// A string without quotes, anything else as JSON.
std::string format_value(const json::Value& value);

// What went wrong, and in a line of its own what to do about it.
std::string format_error(const Error& error);

// Where the commands write. Throws Error where writing fails; a reader that went away ends the
// program by SIGPIPE, as is usual.
class Output {
 public:
  Output(int out, int err, Format format);

  Format format() const noexcept { return format_; }
  Look look() const noexcept { return look_; }

  // To standard output, as it is.
  void write(std::string_view bytes);
  // The same, made printable where a person looks.
  void text(std::string_view text);
  // To standard error, as it is.
  void write_error(std::string_view bytes);
  // A line on standard error, with our name before it.
  void note(std::string_view text);
  // A value as JSON: with line ends for people, else on one line.
  void json(const json::Value& value);

 private:
  int out_;
  int err_;
  Format format_;
  Look look_;
};

}  // namespace cellar::cli
