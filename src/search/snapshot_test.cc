#include "search/snapshot.h"

#include <doctest/doctest.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "search/index.h"

namespace cellar::search {
namespace {

constexpr std::string_view kSession =
    "// Signs users in.\nclass UserSession {\n  bool login(const Password& word);\n};\n";
constexpr std::string_view kConfig = "def parse_config(text):\n    return json.loads(text)\n";

const std::string kLarge(500, '\n');

FileMeta state_of(const std::string& path, std::string_view text = {}) {
  return {.path = path, .size_bytes = text.size(), .mtime_ns = -5, .inode = 7, .ctime_ns = 1};
}

// With something of all that there is: files, a document, what is skipped, left out and dead.
Index small_index() {
  Index index({.files_max = 6, .text_bytes_max = 400});
  index.put(state_of("src/session.cc", kSession), kSession);
  index.put(state_of("old.py", kConfig), kConfig);
  index.put(state_of("src/config.py", kConfig), kConfig);
  index.put_document("notes#login", "users sign in with a password\n");
  index.put_skipped(state_of("large.bin"), Admission::too_large);
  index.put(state_of("none.py", kLarge), kLarge);
  index.remove("old.py");
  return index;
}

// All that a caller can see of it.
std::string describe(const Index& index) {
  std::string out;
  for (const Mode mode : {Mode::automatic, Mode::semantic, Mode::lexical, Mode::regex}) {
    for (const char* query : {"sign in", "parse_config", "UserSession", "password"}) {
      for (const Hit& hit : index.query(query, {.mode = mode})) {
        out += hit.path + ":" + std::to_string(hit.start_line) + "-" +
               std::to_string(hit.end_line) + " " + std::to_string(hit.score) + " " + hit.symbol +
               " " + std::string(hit.language) + "\n" + hit.content;
      }
    }
  }
  for (const SymbolHit& hit : index.symbols("s")) out += hit.name + std::to_string(hit.line) + "\n";
  const IndexStats stats = index.stats();
  for (const std::size_t number : {stats.file_count, stats.skipped_count, stats.document_count,
                                   stats.chunk_count, stats.symbol_count, stats.dead_chunk_count,
                                   stats.term_count, stats.text_bytes, stats.left_out_count}) {
    out += std::to_string(number) + " ";
  }
  return out;
}

// nullopt where it is refused; uses it where it is not.
std::optional<Index> load(const std::string& bytes) {
  try {
    Index index = Index::from_snapshot(bytes, {.files_max = 6, .text_bytes_max = 400});
    for (const Mode mode : {Mode::automatic, Mode::semantic, Mode::regex}) {
      index.query("UserSession", {.mode = mode});
    }
    index.symbols("s");
    index.put(state_of("src/config.py"), kSession);
    index.remove("src/session.cc");
    index.query("parse_config sign in");
    return index;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    return std::nullopt;
  }
}

}  // namespace

TEST_CASE("an index comes back from its snapshot as it was, and goes on from there") {
  Index before = small_index();
  const std::string bytes = before.snapshot();
  Index after = Index::from_snapshot(bytes, {.files_max = 6, .text_bytes_max = 400});
  CHECK(describe(after) == describe(before));
  CHECK(after.snapshot() == bytes);
  CHECK(after.find("src/config.py") == state_of("src/config.py", kConfig));
  CHECK_FALSE(after.needs(state_of("none.py", kLarge)));
  CHECK(after.left_out_count() == 1);

  for (Index* index : {&before, &after}) {
    index->put(state_of("src/config.py"), "def parse_config_again():\n    pass\n");
    index->remove("src/session.cc");
    index->put_document("notes#deploy", "how to deploy the frontend\n");
  }
  CHECK(describe(after) == describe(before));
  CHECK(after.snapshot() == before.snapshot());
}

TEST_CASE("a snapshot of which much changed is not used any more, and counts as long as it is") {
  constexpr int kFileCount = 1200;
  Index before;
  const std::string text = std::string(kConfig) + "#" + std::string(1000, '-');
  for (int i = 0; i < kFileCount; ++i) before.put(state_of(std::to_string(i) + ".py"), text);
  std::string bytes = before.snapshot();
  Index after = Index::from_snapshot(bytes);
  CHECK(after.uses_snapshot());
  CHECK_FALSE(before.uses_snapshot());
  CHECK(after.stats().memory_bytes > bytes.size());
  for (Index* index : {&before, &after}) {
    for (int i = 0; i < kFileCount && index->stats().chunk_count > 190; ++i) {
      index->remove(std::to_string(i) + ".py");
    }
  }
  CHECK_FALSE(after.uses_snapshot());
  CHECK(after.stats().memory_bytes < bytes.size());
  bytes.assign(bytes.size(), '?');
  CHECK(describe(after) == describe(before));
  CHECK(after.snapshot().size() == before.snapshot().size());
  after.put(state_of("config.py"), kSession);
  CHECK(describe(Index::from_snapshot(after.snapshot())) == describe(after));
}

TEST_CASE("an empty index has a snapshot, too") {
  const std::string bytes = Index().snapshot();
  CHECK(Index::from_snapshot(bytes).snapshot() == bytes);
}

TEST_CASE("a snapshot that is cut off or longer, wherever, is refused") {
  const std::string bytes = small_index().snapshot();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    std::string cut = bytes.substr(0, size);
    CHECK_FALSE(load(cut).has_value());
    snapshot::sign(cut);
    CHECK_FALSE(load(cut).has_value());
  }
  std::string longer = bytes + '\0';
  snapshot::sign(longer);
  CHECK_FALSE(load(longer).has_value());
}

TEST_CASE(
    "a snapshot with any bit turned is refused, and harmless where the checksum is turned too") {
  std::string bytes = small_index().snapshot();
  std::size_t refused_count = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    CAPTURE(bit);
    std::string turned = bytes;
    turned[bit / 8] = static_cast<char>(turned[bit / 8] ^ (1 << (bit % 8)));
    CHECK_THROWS_AS(Index::from_snapshot(turned), Error);
    snapshot::sign(turned);
    refused_count += load(turned) ? 0 : 1;
  }
  MESSAGE(refused_count << " of " << bytes.size() * 8 << " signed ones are refused");
}

TEST_CASE("a snapshot of another version is refused") {
  std::string bytes = small_index().snapshot();
  ++bytes[8];
  snapshot::sign(bytes);
  CHECK_THROWS_WITH_AS(
      Index::from_snapshot(bytes),
      "the snapshot of a search index is damaged or old: the version is not as it must be", Error);
}

// If this fails, an index holds something else than before for the same text: raise
// kSnapshotVersion, so that no index of before is taken for one of now.
TEST_CASE("what an index holds for a text belongs to the version of the snapshot") {
  constexpr std::size_t kSlotsBytes = 8 + 8 + 128 * 8;  // With a random seed.
  constexpr std::size_t kChecksumBytes = 4;
  std::string bytes = small_index().snapshot();
  bytes.resize(bytes.size() - kSlotsBytes - kChecksumBytes);
  CHECK(kSnapshotVersion == 2);
  CHECK(crc32c(0, bytes) == 1647874816);
}

}  // namespace cellar::search
