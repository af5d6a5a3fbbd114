#include "search/index.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::search {
namespace {

constexpr std::string_view kText = "def parse_config(text):\n    return text\n";

FileMeta meta(const std::string& path, std::size_t size_bytes = kText.size()) {
  return {.path = path, .size_bytes = size_bytes, .inode = 1};
}

std::size_t hit_count(const Index& index) {
  return index.query("parse config", {.limit = kHitsMax}).size();
}

// What is found by meaning, and how near it is.
std::string nearest(const Index& index) {
  std::string out;
  for (const Hit& hit :
       index.query("open a network socket",
                   {.limit = kHitsMax, .chunks_per_file = kHitsMax, .mode = Mode::semantic})) {
    out += std::to_string(hit.score) + " " + std::to_string(hit.start_line) + "\n" + hit.content;
  }
  return out;
}

}  // namespace

TEST_CASE("an index takes in as many files as its limit says, and takes changes of those") {
  Index index({.files_max = 2});
  CHECK(index.put(meta("a"), kText) == Admission::indexed);
  index.put_skipped(meta("large", 2'000'000), Admission::too_large);
  CHECK_FALSE(index.needs(meta("b")));
  CHECK(index.put(meta("b"), kText) == Admission::index_full);
  CHECK_FALSE(index.find("b").has_value());
  CHECK(index.put_document("doc", kText) == Admission::index_full);
  CHECK(hit_count(index) == 1);

  for (int change = 0; change < 5000; ++change) {  // What is dead is swept out or does not count.
    const std::string text = std::string(kText) + std::to_string(change);
    CHECK(index.put(meta("a", text.size()), text) == Admission::indexed);
  }
  CHECK(index.stats().dead_chunk_count < 5000);
  index.remove("large");
  CHECK(index.needs(meta("b")));
  CHECK(index.put(meta("b"), kText) == Admission::indexed);
  CHECK(hit_count(index) == 2);
}

TEST_CASE("an index remembers a file whose text has no room, and wants it once there is") {
  Index index({.text_bytes_max = kText.size() * 2});
  CHECK(index.put(meta("a"), kText) == Admission::indexed);
  CHECK(index.put_document("doc", kText) == Admission::indexed);
  CHECK(index.put(meta("b"), kText) == Admission::index_full);
  CHECK(index.put(meta("empty", 0), "") == Admission::indexed);  // That one needs none.
  CHECK(index.find("b") == meta("b"));
  CHECK_FALSE(index.needs(meta("b")));
  CHECK(index.left_out_count() == 1);
  CHECK(index.stats().left_out_count == 1);
  CHECK(index.stats().text_bytes == kText.size() * 2);

  index.remove_document("doc");
  CHECK(index.needs(meta("b")));
  CHECK(index.put(meta("b"), kText) == Admission::indexed);
  CHECK(index.left_out_count() == 0);
  CHECK_FALSE(index.needs(meta("b")));
  CHECK(hit_count(index) == 2);

  CHECK(index.put(meta("c"), kText) == Admission::index_full);
  CHECK(index.retain([](const std::string& path) { return path != "c"; }) == 1);
  CHECK(index.left_out_count() == 0);
}

TEST_CASE("an index takes in as many chunks as its limit says") {
  Index index({.chunks_max = 3});
  for (const char* path : {"a", "b", "c"}) {
    CHECK(index.put(meta(path), kText) == Admission::indexed);
  }
  CHECK(index.put(meta("d"), kText) == Admission::index_full);
  CHECK(index.stats().chunk_count == 3);
  index.remove("b");
  CHECK(index.put(meta("d"), kText) == Admission::indexed);
  // Of one that is longer, the most that it could become counts before it is cut.
  CHECK(index.put(meta("a", 700), std::string(700, '\n')) == Admission::index_full);
}

TEST_CASE("a file that changed has the vectors that it would have if it were new") {
  std::vector<std::string> parts;
  for (const char* word : {"socket", "config", "password", "network", "matrix", "parser"}) {
    std::string part = "def open_" + std::string(word) + "(host):\n";  // A chunk of its own.
    for (int i = 0; i < 30; ++i) part += "    use_the_" + std::string(word) + "(host, 12345)\n";
    part += "\n";
    parts.push_back(part);
  }
  const auto text_of = [&](const std::vector<std::size_t>& order) {
    std::string text;
    for (const std::size_t i : order) text += parts[i];
    return text;
  };
  const std::vector<std::vector<std::size_t>> orders = {
      {0, 1, 2, 3, 4, 5}, {0, 1, 3, 4, 5}, {5, 4, 4, 0, 1}, {2}, {}, {2, 0, 3}};
  Index index;
  Index loaded;
  std::string snapshot;
  for (const auto& order : orders) {
    const std::string text = text_of(order);
    Index fresh;
    for (Index* changed : {&index, &loaded, &fresh}) {
      CHECK(changed->put(meta("a.py", text.size()), text) == Admission::indexed);
    }
    CHECK(nearest(fresh).empty() == order.empty());
    CHECK(nearest(index) == nearest(fresh));
    CHECK(nearest(loaded) == nearest(fresh));
    std::string next = index.snapshot();
    loaded = Index::from_snapshot(next);
    snapshot.swap(next);
  }
}

TEST_CASE("an index takes in as much as its memory may hold, whatever words a text is made of") {
  constexpr std::size_t kMemoryBytesMax = 4 << 20;
  Index index({.memory_bytes_max = kMemoryBytesMax});
  std::vector<FileMeta> files;
  const auto put = [&] {
    std::string text;
    for (int word = 0; word < 5; ++word) {
      text += "word" + std::to_string(files.size()) + "x" + std::to_string(word) + "\n";
    }
    files.push_back(meta(std::to_string(files.size()), text.size()));
    return index.put(files.back(), text);
  };
  while (put() == Admission::indexed) REQUIRE(files.size() < 10'000);
  CHECK(files.size() > 1000);
  CHECK(index.left_out_count() == 1);
  CHECK(index.stats().memory_bytes >= kMemoryBytesMax);
  CHECK(index.stats().memory_bytes < kMemoryBytesMax * 2);
  CHECK_FALSE(index.needs(files.back()));

  const std::string bytes = index.snapshot();
  Index loaded = Index::from_snapshot(bytes, {.memory_bytes_max = bytes.size()});
  CHECK_FALSE(loaded.needs(files.back()));

  for (std::size_t i = 0; i + 1 < files.size(); ++i) index.remove(files[i].path);
  CHECK(index.stats().memory_bytes < kMemoryBytesMax);
  CHECK(index.needs(files.back()));
  CHECK(index.put(files.back(), kText) == Admission::indexed);
  CHECK(index.left_out_count() == 0);
}

TEST_CASE("the text of a file that changed counts once, and that of one that is gone does not") {
  Index index;
  const std::string line = std::string(99, '-') + '\n';
  std::string text;
  while (text.size() < 500'000) text += line;
  for (int change = 0; change < 4; ++change) {
    text += line;
    CHECK(index.put(meta("a", text.size()), text) == Admission::indexed);
  }
  CHECK(index.stats().memory_bytes > text.size());
  CHECK(index.stats().memory_bytes < text.size() * 2);
  index.remove("a");
  CHECK(index.stats().memory_bytes < text.size());
}

TEST_CASE("a file that is data, and a document that is too large or has no name, are refused") {
  Index index;
  CHECK(index.put(meta("a", kFileBytesMax + 1), std::string(kFileBytesMax + 1, '\n')) ==
        Admission::too_large);
  CHECK(index.put(meta("b", 3), std::string("a\0b", 3)) == Admission::binary);
  CHECK(index.stats().skipped_count == 2);
  CHECK(index.left_out_count() == 0);
  CHECK_THROWS_AS(index.put_document("", kText), Error);
  CHECK_THROWS_AS(index.put_document(std::string(kDocumentNameBytesMax + 1, 'x'), kText), Error);
  CHECK_THROWS_AS(index.put_document("d", std::string(kFileBytesMax + 1, 'x')), Error);
}

}  // namespace cellar::search
