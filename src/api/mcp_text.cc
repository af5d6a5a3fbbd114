#include "api/mcp_text.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace cellar::api {
namespace {

bool is_in_character(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

std::size_t line_of(std::string_view text, std::size_t at) noexcept {
  return 1 + static_cast<std::size_t>(
                 std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

// memmem() takes linear time whatever it is given, std::string's find() does not.
std::size_t find_from(std::string_view text, std::string_view wanted, std::size_t at) noexcept {
  const void* found = ::memmem(text.data() + at, text.size() - at, wanted.data(), wanted.size());
  if (found == nullptr) return text.npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::vector<std::size_t> places_of(std::string_view text, std::string_view wanted) {
  std::vector<std::size_t> places;
  for (std::size_t at = find_from(text, wanted, 0); at != text.npos;
       at = find_from(text, wanted, at + wanted.size())) {
    places.push_back(at);
  }
  return places;
}

// The line from which on the text has the lines of `wanted` with other white space; 0 for none.
std::size_t loose_match(std::string_view text, std::string_view wanted) {
  constexpr std::size_t kTextBytesMax = 256 << 10;  // It takes the product of both.
  constexpr std::size_t kLinesMax = 50;
  if (text.size() > kTextBytesMax) return 0;
  const auto trimmed = [](std::string_view from) {
    std::vector<std::string_view> lines = split(from, '\n');
    for (std::string_view& line : lines) line = trim(line);
    return lines;
  };
  std::vector<std::string_view> looked_for = trimmed(trim(wanted));
  looked_for.resize(std::min(looked_for.size(), kLinesMax));
  if (looked_for.front().empty()) return 0;
  const std::vector<std::string_view> lines = trimmed(text);
  const auto found = std::search(lines.begin(), lines.end(), looked_for.begin(), looked_for.end());
  return found == lines.end() ? 0 : 1 + static_cast<std::size_t>(found - lines.begin());
}

[[noreturn]] void throw_not_found(std::string_view path, std::string_view text,
                                  std::string_view wanted) {
  std::string remedy = "read_file it again and copy the text exactly, without line numbers";
  if (const std::size_t line = loose_match(text, wanted); line != 0) {
    remedy = "line " + std::to_string(line) +
             " begins the same text with other white space (tabs, spaces, line ends): " + remedy;
  }
  throw Error(ErrorCode::invalid_argument, "text_not_found",
              "\"old_string\" is not in " + std::string(path), remedy);
}

[[noreturn]] void throw_not_unique(std::string_view path, std::string_view text,
                                   const std::vector<std::size_t>& places) {
  constexpr std::size_t kPlacesTold = 10;
  std::string lines;
  for (std::size_t i = 0; i < std::min(places.size(), kPlacesTold); ++i) {
    lines += (lines.empty() ? "" : ", ") + std::to_string(line_of(text, places[i]));
  }
  if (places.size() > kPlacesTold) lines += ", …";
  throw Error(ErrorCode::invalid_argument, "text_not_unique",
              "\"old_string\" is " + std::to_string(places.size()) + " times in " +
                  std::string(path) + ", on lines " + lines,
              "add lines around the one that is meant, or set \"replace_all\"");
}

}  // namespace

std::string clip_middle(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  const std::size_t head = utf8_floor(text, bytes_max / 2);
  std::size_t tail = text.size() - bytes_max / 2;
  while (tail < text.size() && is_in_character(text[tail])) ++tail;
  return std::string(text.substr(0, head)) + "\n[… " + std::to_string(tail - head) +
         " bytes left out …]\n" + std::string(text.substr(tail));
}

ShownLines show_lines(std::string_view text, std::size_t first, std::size_t last) {
  ShownLines shown;
  shown.first = first;
  const bool has_open_end = !text.empty() && text.back() != '\n';
  shown.total =
      static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + (has_open_end ? 1 : 0);
  if (first > std::max<std::size_t>(shown.total, 1)) {
    throw Error(ErrorCode::invalid_argument, "no_such_line",
                "there is no line " + std::to_string(first) + ": the file has " +
                    std::to_string(shown.total) + " lines");
  }
  const std::size_t end = last == 0 ? shown.total : std::min(last, shown.total);
  std::size_t at = 0;
  for (std::size_t line = 1; line <= end; ++line) {
    const std::size_t stop = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view bytes = text.substr(at, stop - at);
    at = stop;
    if (line < first) continue;
    const std::size_t room = kLineBytesShownMax - shown.text.size();
    if (line - first == kLinesShownMax || (bytes.size() > room && !shown.text.empty())) break;
    shown.last = line;
    shown.is_cut = bytes.size() > room;
    shown.text += bytes.substr(0, shown.is_cut ? utf8_floor(bytes, room) : bytes.size());
    if (shown.is_cut) break;
  }
  shown.truncated = shown.last < end || shown.is_cut;
  return shown;
}

Replaced replace_text(std::string_view path, std::string_view text, const Replacement& how) {
  if (how.old_text.empty()) {
    throw Error(ErrorCode::invalid_argument, "nothing_to_edit", "\"old_string\" is empty",
                "give the text that is to be replaced; write_file makes a file");
  }
  if (how.old_text == how.new_text) {
    throw Error(ErrorCode::invalid_argument, "nothing_to_edit",
                "\"old_string\" and \"new_string\" are the same");
  }
  const std::vector<std::size_t> places = places_of(text, how.old_text);
  if (places.empty()) throw_not_found(path, text, how.old_text);
  if (places.size() > 1 && !how.everywhere) throw_not_unique(path, text, places);
  const std::size_t size =
      text.size() + places.size() * how.new_text.size() - places.size() * how.old_text.size();
  if (size > kEditedBytesMax) {
    throw Error(ErrorCode::too_large, "file_too_large",
                std::string(path) + " would have " + std::to_string(size) + " bytes, at most " +
                    std::to_string(kEditedBytesMax),
                "edit it with exec, such as by sed -i");
  }
  Replaced replaced;
  replaced.count = places.size();
  replaced.first_line = line_of(text, places.front());
  std::size_t copied = 0;
  for (const std::size_t place : places) {
    replaced.text += text.substr(copied, place - copied);
    replaced.text += how.new_text;
    copied = place + how.old_text.size();
  }
  replaced.text += text.substr(copied);
  return replaced;
}

}  // namespace cellar::api
