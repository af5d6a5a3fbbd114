#include "cli/output.h"

#include <algorithm>

#include "base/text.h"
#include "json/json.h"
#include "sys/file.h"
#include "sys/terminal.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr std::string_view kLineEnd = "\xe2\x8f\x8e";  // U+23CE

// How many columns a terminal takes for UTF-8 text, without wide characters.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

void append_line(std::string& out, const Row& row, const std::vector<std::size_t>& widths,
                 Look look) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    out += row[i];
    if (i + 1 == row.size()) break;
    if (look == Look::plain) {
      out += '\t';
    } else {
      out.append(widths[i] - width_of(row[i]) + kGap, ' ');
    }
  }
  out += '\n';
}

}  // namespace

std::string printable(std::string_view text, Lines lines) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters, too: two bytes, the first one 0xc2.
    const bool is_c1 = byte == 0xc2 && i + 1 < text.size() &&
                       (static_cast<unsigned char>(text[i + 1]) & 0xe0) == 0x80;
    const bool is_kept = lines == Lines::keep && (text[i] == '\n' || text[i] == '\t');
    if (is_c1) {
      out += kReplacement;
      ++i;
    } else if (text[i] == '\n' && !is_kept) {
      out += kLineEnd;
    } else if (is_control(text[i]) && !is_kept) {
      out += kReplacement;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string format_table(const Row& heading, const std::vector<Row>& rows, Look look) {
  std::vector<Row> lines;
  if (look == Look::terminal) lines.push_back(heading);
  for (const Row& row : rows) {
    Row& line = lines.emplace_back();
    for (const std::string& cell : row) line.push_back(printable(cell));
  }
  std::vector<std::size_t> widths(heading.size(), 0);
  for (const Row& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], width_of(line[i]));
  }
  std::string out;
  for (const Row& line : lines) append_line(out, line, widths, look);
  return out;
}

std::string format_record(const json::Value& object, Look look) {
  std::vector<Row> rows;
  std::vector<std::size_t> widths(2, 0);
  for (const auto& [name, value] : object.as_object()) {
    rows.push_back({printable(name), printable(format_value(value))});
    widths[0] = std::max(widths[0], width_of(rows.back()[0]));
  }
  std::string out;
  for (const Row& row : rows) append_line(out, row, widths, look);
  return out;
}

std::string format_value(const json::Value& value) {
  return value.is_string() ? value.as_string() : json::dump(value);
}

std::string format_error(const Error& error) {
  const std::string text = error.what();
  return error.remediation().empty() ? text : text + "\n        " + error.remediation();
}

Output::Output(int out, int err, Format format)
    : out_(out),
      err_(err),
      format_(format),
      look_(sys::is_terminal(out) ? Look::terminal : Look::plain) {}

void Output::write(std::string_view bytes) { sys::write_all(out_, bytes, "standard output"); }

void Output::write_error(std::string_view bytes) { sys::write_all(err_, bytes, "standard error"); }

void Output::note(std::string_view text) {
  write_error("cellar: " + printable(text, Lines::keep) + "\n");
}

void Output::text(std::string_view text) {
  write(look_ == Look::terminal ? printable(text, Lines::keep) : std::string(text));
}

void Output::json(const json::Value& value) {
  text((look_ == Look::terminal ? json::dump_pretty(value) : json::dump(value)) + "\n");
}

}  // namespace cellar::cli
