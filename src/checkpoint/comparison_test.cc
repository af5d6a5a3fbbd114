#include "checkpoint/comparison.h"

#include <doctest/doctest.h>

#include <map>

#include "base/sha256.h"

namespace cellar::checkpoint {
namespace {

// A state of files in memory: path → text. A path that ends in '/' is a folder, a text that begins
// with "-> " a link, one with "#!" a program.
Comparison::Side side(const std::map<std::string, std::string>& texts) {
  Comparison::Side side;
  std::map<std::string, std::string> by_digest;
  for (const auto& [name, text] : texts) {
    File file{.path = name, .mode = 0644, .size_bytes = text.size()};
    if (name.ends_with('/')) {
      file.path.pop_back();
      file.kind = sys::FileKind::directory;
    } else if (text.starts_with("-> ")) {
      file.kind = sys::FileKind::symlink;
      file.target = text.substr(3);
    } else {
      file.digest = sha256_hex(text);
      if (text.starts_with("#!")) file.mode = 0755;
      by_digest[file.digest] = text;
    }
    side.files.push_back(std::move(file));
  }
  std::sort(side.files.begin(), side.files.end(),
            [](const File& a, const File& b) { return is_before(a, b); });
  side.read = [by_digest](const File& file, std::size_t max) -> std::optional<std::string> {
    const std::string& text = by_digest.at(file.digest);
    return text.size() > max ? std::nullopt : std::optional(text);
  };
  return side;
}

Differences compare(Comparison::Side before, Comparison::Side after,
                    const DiffLimits& limits = {}) {
  Comparison comparison(std::move(before), std::move(after), limits, Patches::made);
  while (comparison.step()) continue;
  return comparison.take();
}

// "modified a, added b …"
std::string told(const Differences& differences) {
  std::string out;
  for (const Change& change : differences.changes) {
    out += std::string(out.empty() ? "" : ", ") + std::string(name_of(change.kind)) + " " +
           change.path();
    if (change.is_binary) out += " (binary)";
    if (change.is_too_large) out += " (too large)";
  }
  return out;
}

}  // namespace

TEST_CASE("what was added, deleted, modified and renamed is told in the order of the tree") {
  const auto found = compare(
      side({{"a", "1\n"}, {"b/", ""}, {"b/x", "2\n"}, {"gone", "3\n"}, {"l", "-> a"}, {"e", ""}}),
      side({{"a", "one\n"}, {"c/", ""}, {"c/new", "2\n"}, {"l", "-> b"}, {"f", ""}, {"d/", ""}}));
  CHECK(told(found) ==
        "modified a, renamed c/new, added d, deleted e, added f, deleted gone, modified l");
  CHECK(found.truncated_by.empty());
  CHECK(found.changes.back().patch->find("-a\n\\ No newline") != std::string::npos);
}

TEST_CASE("another mode alone is a change of its own") {
  auto before = side({{"f", "text\n"}});
  auto after = before;
  after.files[0].mode = 0755;
  const auto found = compare(before, after);
  CHECK(told(found) == "mode_changed f");
  CHECK(found.changes[0].patch == "diff --git a/f b/f\nold mode 100644\nnew mode 100755\n");
  after.files[0].mode = 0600;  // Nothing that git keeps.
  CHECK(compare(before, after).changes[0].patch == "");
}

TEST_CASE("what is no text, or too long, has no patch, unless only its name changed") {
  const std::string binary("a\0b", 3);
  const std::string large(5000, 'x');
  const auto found = compare(side({{"b", binary}, {"l", large}, {"old", large}}),
                             side({{"b", binary + "c"}, {"l", large + "y"}, {"new", large}}),
                             {.file_bytes_max = 4000});
  CHECK(told(found) == "modified b (binary), modified l (too large), renamed new");
  CHECK_FALSE(found.changes[0].patch);
  CHECK(found.changes[2].patch->find("rename from old") != std::string::npos);
}

TEST_CASE("each limit ends it and is told") {
  const auto before = side({{"a", "1\n"}, {"b", "2\n"}});
  const auto after = side({{"a", "one\n"}, {"b", "two\n"}});
  auto found = compare(before, after, {.changes_max = 1});
  CHECK(told(found) == "modified a");
  CHECK(found.truncated_by == "changes");
  CHECK(found.counts[static_cast<std::size_t>(ChangeKind::modified)] == 2);
  found = compare(before, after, {.patch_bytes_max = 100});
  CHECK(found.truncated_by == "bytes");
  CHECK(found.changes[0].patch);
  CHECK_FALSE(found.changes[1].patch);
  found = compare(before, after, {.time_max = std::chrono::milliseconds(0)});
  CHECK(found.truncated_by == "time");
}

TEST_CASE("a file whose bytes are not kept is judged by its size and time") {
  auto before = side({{"f", "text"}});
  before.files[0].digest.clear();
  auto after = before;
  CHECK(told(compare(before, after)).empty());
  after.files[0].mtime_ns = 1;
  after.read = before.read = [](const File&, std::size_t) { return std::nullopt; };
  CHECK(told(compare(before, after)) == "modified f (too large)");
}

}  // namespace cellar::checkpoint
