#include "search/chunker.h"

#include <algorithm>

namespace cellar::search {
namespace {

struct Line {
  std::uint32_t begin = 0;  // Bytes [begin, end), the '\n' included.
  std::uint32_t end = 0;
  std::uint32_t number = 1;
  float cost = 0;  // Of a cut before this line.
};

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::string_view without_indent(std::string_view line) {
  const auto at = line.find_first_not_of(" \t\r\n");
  return at == line.npos ? std::string_view() : line.substr(at);
}

float indent_of(std::string_view line) {
  constexpr float kTabWidth = 4;
  float width = 0;
  for (const char c : line) {
    if (c != ' ' && c != '\t') break;
    width += c == ' ' ? 1 : kTabWidth;
  }
  return width;
}

bool closes_something(std::string_view code) {
  if (code.empty()) return false;
  if (code[0] == '}' || code[0] == ')' || code[0] == ']') return true;
  static constexpr std::string_view kWords[] = {"end",    "else",    "elif",   "elsif",  "catch",
                                                "except", "finally", "rescue", "ensure", "fi",
                                                "done",   "esac",    "then",   "do"};
  for (const std::string_view word : kWords) {
    if (starts_with(code, word) &&
        (code.size() == word.size() || code[word.size()] == ' ' || code[word.size()] == ':' ||
         code[word.size()] == ';' || code[word.size()] == '\n')) {
      return true;
    }
  }
  return false;
}

// A comment or a decorator belongs to what follows it.
bool introduces_next(std::string_view code) {
  static constexpr std::string_view kMarks[] = {"//", "/*",     "*",   "#",  "--",
                                                "@",  "\"\"\"", "'''", ";;", "%"};
  for (const std::string_view mark : kMarks) {
    if (starts_with(code, mark)) return !starts_with(code, "#include");
  }
  return false;
}

float cost_before(std::string_view line, std::string_view previous) {
  constexpr float kNoBlankLine = 6;
  constexpr float kCloses = 20;
  constexpr float kAfterComment = 12;
  const std::string_view code = without_indent(line);
  const std::string_view code_before = without_indent(previous);
  float cost = indent_of(line);
  if (!code_before.empty()) cost += kNoBlankLine;
  if (closes_something(code)) cost += kCloses;
  if (introduces_next(code_before)) cost += kAfterComment;
  return cost;
}

// The lines of `text`; one longer than a chunk as several of the same number.
std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  std::string_view previous;
  std::uint32_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto newline = text.find('\n', begin);
    const std::size_t end = newline == text.npos ? text.size() : newline + 1;
    const std::string_view line = text.substr(begin, end - begin);
    const float cost = cost_before(line, previous);
    previous = line;
    ++number;
    while (begin < end) {
      std::size_t stop = std::min(end, begin + kChunkBytesMax);
      constexpr std::size_t kCharacterBytesMax = 4;
      for (std::size_t back = 0; stop < end && back < kCharacterBytesMax; ++back, --stop) {
        if ((static_cast<unsigned char>(text[stop]) & 0xC0) != 0x80) break;
      }
      lines.push_back(
          {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(stop), number, cost});
      begin = stop;
    }
  }
  return lines;
}

}  // namespace

std::vector<Chunk> cut_chunks(std::string_view text) {
  constexpr std::size_t kCutFrom = kChunkBytesMax * 2 / 5;  // The last 60 % of the window.
  constexpr float kPerLine = .15F;
  const std::vector<Line> lines = lines_of(text);
  std::vector<Chunk> chunks;
  for (std::size_t first = 0; first < lines.size();) {
    std::size_t last = first + 1;  // One behind the chunk's last line.
    while (last < lines.size() && lines[last].end - lines[first].begin <= kChunkBytesMax) ++last;
    std::size_t cut = last;
    if (last < lines.size()) {
      float best = 0;
      bool found = false;
      for (std::size_t at = first + 1; at <= last; ++at) {
        if (lines[at].begin - lines[first].begin < kCutFrom) continue;
        const float cost = lines[at].cost - kPerLine * static_cast<float>(at - first);
        if (!found || cost <= best) {
          best = cost;
          cut = at;
          found = true;
        }
      }
    }
    chunks.push_back(
        {lines[first].begin, lines[cut - 1].end, lines[first].number, lines[cut - 1].number});
    first = cut;
  }
  return chunks;
}

}  // namespace cellar::search
