#include "diff/patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "diff/lines.h"

namespace cellar::diff {
namespace {

constexpr std::size_t kContext = 3;
constexpr unsigned kLinkMode = 0120000;

// A run of edited lines: those of the first text from `before` on, and of the second from `after`.
struct Edited {
  std::size_t before = 0;
  std::size_t before_count = 0;
  std::size_t after = 0;
  std::size_t after_count = 0;
};

std::vector<Edited> runs_of(const Edits& edits) {
  std::vector<Edited> runs;
  std::size_t x = 0;
  std::size_t y = 0;
  while (x < edits.removed.size() || y < edits.added.size()) {
    Edited run{.before = x, .after = y};
    while (x < edits.removed.size() && edits.removed[x]) ++x;
    while (y < edits.added.size() && edits.added[y]) ++y;
    run.before_count = x - run.before;
    run.after_count = y - run.after;
    if (run.before_count + run.after_count > 0) {
      runs.push_back(run);
    } else {
      ++x;
      ++y;
    }
  }
  return runs;
}

void append_line(std::string& out, char sign, std::string_view line) {
  out += sign;
  out += line;
  if (!line.ends_with('\n')) out += "\n\\ No newline at end of file\n";
}

// "12,3", as hunks name lines; of no lines, the one before.
std::string range(std::size_t first, std::size_t count) {
  if (count == 1) return std::to_string(first + 1);
  return fmt::format("{},{}", count == 0 ? first : first + 1, count);
}

void append_hunk(std::string& out, const std::vector<std::string_view>& before,
                 const std::vector<std::string_view>& after, const Edited* first,
                 const Edited* last) {
  const std::size_t lead = std::min(first->before, kContext);
  const std::size_t end = std::min(before.size(), last->before + last->before_count + kContext);
  const std::size_t tail = end - (last->before + last->before_count);
  const std::size_t x = first->before - lead;
  const std::size_t y = first->after - lead;
  const std::size_t y_end = last->after + last->after_count + tail;
  out += fmt::format("@@ -{} +{} @@\n", range(x, end - x), range(y, y_end - y));
  std::size_t at = x;
  for (const Edited* run = first; run <= last; ++run) {
    for (; at < run->before; ++at) append_line(out, ' ', before[at]);
    for (; at < run->before + run->before_count; ++at) append_line(out, '-', before[at]);
    for (std::size_t i = 0; i < run->after_count; ++i) append_line(out, '+', after[run->after + i]);
  }
  for (; at < end; ++at) append_line(out, ' ', before[at]);
}

std::string hunks_of(std::string_view before_text, std::string_view after_text) {
  const auto before = lines_of(before_text);
  const auto after = lines_of(after_text);
  const std::vector<Edited> runs = runs_of(compare(before, after));
  std::string out;
  for (std::size_t i = 0; i < runs.size();) {
    std::size_t last = i;
    while (last + 1 < runs.size() &&
           runs[last + 1].before - runs[last].before - runs[last].before_count <= 2 * kContext) {
      ++last;
    }
    append_hunk(out, before, after, &runs[i], &runs[last]);
    i = last + 1;
  }
  return out;
}

// Behind a name with a space git writes a tab, so that nobody takes the rest for a time.
std::string name_line(std::string_view sign, std::string_view side, const std::string& path) {
  const std::string name = quoted_path(std::string(side) + path);
  return fmt::format("{} {}{}\n", sign, name, name.find(' ') == name.npos ? "" : "\t");
}

std::string head_of(const PatchSide* before, const PatchSide* after) {
  const std::string& from = before != nullptr ? before->path : after->path;
  const std::string& to = after != nullptr ? after->path : before->path;
  std::string head =
      fmt::format("diff --git {} {}\n", quoted_path("a/" + from), quoted_path("b/" + to));
  if (before == nullptr) {
    head += fmt::format("new file mode {:06o}\n", after->mode);
  } else if (after == nullptr) {
    head += fmt::format("deleted file mode {:06o}\n", before->mode);
  } else {
    if (before->mode != after->mode) {
      head += fmt::format("old mode {:06o}\nnew mode {:06o}\n", before->mode, after->mode);
    }
    if (from != to) {
      head += fmt::format("similarity index 100%\nrename from {}\nrename to {}\n",
                          quoted_path(from), quoted_path(to));
    }
  }
  return head;
}

}  // namespace

bool is_text(std::string_view bytes) noexcept {
  return bytes.find('\0') == bytes.npos && is_valid_utf8(bytes);
}

std::string quoted_path(std::string_view path) {
  std::string out;
  bool is_quoted = false;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
      is_quoted = true;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\{:03o}", byte);
      is_quoted = true;
    } else {
      out += c;
    }
  }
  return is_quoted ? "\"" + out + "\"" : out;
}

std::string patch_of(const std::optional<PatchSide>& before,
                     const std::optional<PatchSide>& after) {
  CELLAR_CHECK(before || after);
  // A patch makes no file of a link: one goes, and the other comes.
  const bool changes_kind =
      before && after && (before->mode == kLinkMode) != (after->mode == kLinkMode);
  if (changes_kind) return patch_of(before, std::nullopt) + patch_of(std::nullopt, after);
  const std::string hunks = hunks_of(before ? before->text : std::string_view(),
                                     after ? after->text : std::string_view());
  const bool is_same =
      before && after && before->mode == after->mode && before->path == after->path;
  if (is_same && hunks.empty()) return {};
  std::string out = head_of(before ? &*before : nullptr, after ? &*after : nullptr);
  if (hunks.empty()) return out;
  out += before ? name_line("---", "a/", before->path) : "--- /dev/null\n";
  out += after ? name_line("+++", "b/", after->path) : "+++ /dev/null\n";
  return out + hunks;
}

}  // namespace cellar::diff
