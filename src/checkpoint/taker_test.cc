#include "checkpoint/taker.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/sha256.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::checkpoint {
namespace {

// A folder as a cell has it, and its checkpoints.
struct Place {
  testing::TempDir dir;
  std::string work_path = dir.file("work");
  Limits limits{.stored_bytes_max = 1 << 30};
  Store store{dir.file("checkpoints")};

  Place() { sys::make_dirs(work_path); }

  void write(const std::string& path, std::string_view text) {
    sys::make_dirs(std::filesystem::path(work_path + "/" + path).parent_path());
    sys::replace_file(work_path + "/" + path, text, 0644);
  }
  Taker begin(std::optional<Earlier> earlier = {}) {
    store.begin("");
    return Taker(work(), store, limits, std::move(earlier), "");
  }
  const sys::BeneathDir& work() {
    if (!work_) work_.emplace(work_path);
    return *work_;
  }
  Head take(const std::string& id, std::optional<Earlier> earlier = {}) {
    Taker taker = begin(std::move(earlier));
    return finish(taker, id);
  }
  Head finish(Taker& taker, const std::string& id) {
    while (taker.step()) continue;
    Head head{.id = id, .created_at = wall_now()};
    taker.tell(head);
    store.commit(head, taker.files());
    return head;
  }
  std::string text_of(const Head& head, const std::string& path) {
    for (const File& file : store.files(head)) {
      if (file.path == path) return store.read(file.digest, 1 << 20).value();
    }
    return "not there";
  }
  std::size_t object_count() const {
    std::size_t count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(dir.file("checkpoints") + "/objects")) {
      if (entry.is_regular_file()) ++count;
    }
    return count;
  }

 private:
  std::optional<sys::BeneathDir> work_;
};

std::string refusal(Place& place) {
  Taker taker = place.begin();
  try {
    while (taker.step()) continue;
  } catch (const Error& error) {
    place.store.abandon();
    return error.reason();
  }
  return "none";
}

}  // namespace

TEST_CASE("a checkpoint has all files as they were, and the same bytes once") {
  Place place;
  place.write("a.txt", "one");
  place.write("folder/same.txt", "one");
  place.write("folder-b", "two");
  const std::string large(3 << 20, 'x');
  place.write("large", large + std::string(2 << 20, '\0'));
  std::filesystem::create_symlink("/etc/passwd", place.work_path + "/link");
  ::mkfifo((place.work_path + "/pipe").c_str(), 0600);

  const Head head = place.take("cp_1");
  place.write("a.txt", "changed");
  std::vector<std::string> paths;
  for (const File& file : place.store.files(head)) paths.push_back(file.path);
  CHECK(paths == std::vector<std::string>{"a.txt", "folder", "folder/same.txt", "folder-b", "large",
                                          "link"});
  CHECK(place.text_of(head, "a.txt") == "one");
  CHECK(place.store.files(head)[5].target == "/etc/passwd");
  CHECK(place.store.files(head)[4].digest == sha256_hex(large + std::string(2 << 20, '\0')));
  CHECK(head.special_count == 1);
  CHECK(head.file_count == 4);
  CHECK(place.object_count() == 3);
  CHECK(place.store.heads().size() == 1);
}

TEST_CASE("what no other checkpoint needs goes with one that is deleted") {
  Place place;
  place.write("both", "both");
  place.write("first", "first");
  place.take("cp_1");
  place.write("first", "second");
  const Head second = place.take("cp_2");
  CHECK(place.object_count() == 3);
  place.store.remove("cp_1");
  CHECK(place.object_count() == 2);
  CHECK(place.text_of(second, "both") == "both");
  CHECK(place.text_of(second, "first") == "second");
}

TEST_CASE("a file that changes while it is read is read again, and one that never rests counted") {
  Place place;
  place.write("busy", std::string(2 << 20, 'a'));
  place.write("gone", "here");
  Taker taker = place.begin();
  while (taker.files().size() < 2) taker.step();
  taker.step();
  std::filesystem::remove(place.work_path + "/gone");
  std::filesystem::create_symlink("/etc/passwd", place.work_path + "/gone");
  int writes = 0;
  while (taker.step()) {
    if (++writes > 20) continue;
    place.write("busy", std::string(2 << 20, static_cast<char>('a' + writes)));
  }
  Head head{.id = "cp_1"};
  taker.tell(head);
  REQUIRE(taker.files().size() == 1);
  CHECK(taker.files()[0].ctime_ns == 0);
  CHECK(head.unsteady_count == 2);
}

TEST_CASE("a file that shrinks and grows while it is read does no harm") {
  Place place;
  place.write("f", std::string(5000, 'a'));
  auto file = place.work().open_itself("f");
  Reading reading(std::move(*file), "");
  REQUIRE(::truncate((place.work_path + "/f").c_str(), 100) == 0);
  CHECK(reading.step());
  place.work().append("f", "more", {});
  CHECK(reading.step());
  CHECK_FALSE(reading.step());
  CHECK(sys::read_file(reading.save(place.dir.file("copy"))) == std::string(100, 'a') + "more");
}

TEST_CASE("a file is not read again where it is surely the same") {
  Place place;
  place.write("f", "text");
  const Head head = place.take("cp_1");
  std::vector<File> files = place.store.files(head);
  const File stat = files[0];
  CHECK_FALSE(is_still(files[0], head.created_at, stat));  // It was written a moment ago.
  const WallTime later = wall_now() + std::chrono::minutes(2);
  CHECK(is_still(files[0], later, stat));
  files[0].digest = std::string(64, 'f');  // Of no object: it is read all the same.
  place.take("cp_2", Earlier{later, files});
  CHECK(place.store.files(place.store.heads()[1])[0].digest == sha256_hex("text"));
}

TEST_CASE("a checkpoint has limits, and leaves nothing where it reaches one") {
  Place place;
  place.write("a", "12345678");
  place.write("b", "123456789");
  place.limits.files_max = 1;
  CHECK(refusal(place) == "checkpoint_too_large");
  place.limits = {.bytes_max = 16, .stored_bytes_max = 1 << 30};
  CHECK(refusal(place) == "checkpoint_too_large");
  place.limits = {.stored_bytes_max = 10'000};
  CHECK(refusal(place) == "checkpoint_quota");
  CHECK(place.object_count() == 0);
  place.limits = {.file_bytes_max = 8, .stored_bytes_max = 1 << 30};
  const Head head = place.take("cp_1");
  CHECK(head.too_large_count == 1);
  CHECK(place.store.files(head)[1].digest.empty());
}

TEST_CASE("names are taken once, and there are not more than a hundred") {
  Place place;
  place.store.begin("mine");
  place.store.commit({.id = "cp_0", .name = "mine"}, {});
  CHECK_THROWS_WITH_AS(place.store.begin("mine"), "checkpoint cp_0 has the name \"mine\" already",
                       Error);
  for (std::size_t i = 1; i < Store::kCheckpointsMax; ++i) {
    place.store.begin("");
    place.store.commit({.id = "cp_" + std::to_string(i)}, {});
  }
  CHECK_THROWS_WITH_AS(place.store.begin(""), "the cell has 100 checkpoints", Error);
}

TEST_CASE("a damaged checkpoint says so") {
  Place place;
  place.write("f", "text");
  const Head head = place.take("cp_1");
  const std::string path = place.dir.file("checkpoints") + "/made/cp_1/files";
  std::string bytes = sys::read_file(path).value();
  bytes[20] ^= 1;
  sys::replace_file(path, bytes);
  CHECK_THROWS_AS(place.store.files(head), Error);
  CHECK_THROWS_AS(decode_head("{}"), Error);
}

TEST_CASE("what is in a folder comes right behind it") {
  std::vector<std::string> paths = {"a.b", "a/b", "a", "a-b", "b", "a/b/c"};
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return is_before(a, b); });
  CHECK(paths == std::vector<std::string>{"a", "a/b", "a/b/c", "a-b", "a.b", "b"});
}

TEST_CASE(
    "a damaged checkpoint is told, of no use, and can be deleted; the others are not touched") {
  Place place;
  place.write("a", "one");
  const Head damaged = place.take("cp_1");
  place.write("a", "two");
  const Head other = place.take("cp_2");
  const std::string folder = place.dir.file("checkpoints") + "/made/cp_1";
  SUBCASE("no JSON") { sys::replace_file(folder + "/head.json", "{"); }
  SUBCASE("another's") { sys::replace_file(folder + "/head.json", encode(other)); }
  SUBCASE("nothing") { sys::remove_file(folder + "/head.json"); }
  const std::vector<Head> heads = place.store.heads();
  REQUIRE(heads.size() == 2);
  CHECK(heads[0].id == "cp_1");
  CHECK_FALSE(heads[0].damage.empty());
  CHECK(heads[1].damage.empty());
  CHECK_THROWS_WITH_AS(place.store.files(heads[0]), doctest::Contains("cp_1 is damaged"), Error);
  CHECK(place.text_of(place.take("cp_3"), "a") == "two");
  place.store.remove("cp_1");
  CHECK(place.store.heads().size() == 2);
  CHECK(place.text_of(other, "a") == "two");
  CHECK(place.object_count() == 1);
}

TEST_CASE("while it is not known what one checkpoint needs nothing that any may need is removed") {
  Place place;
  place.write("a", "one");
  const Head damaged = place.take("cp_1");
  place.write("a", "two");
  place.take("cp_2");
  const std::string list = place.dir.file("checkpoints") + "/made/cp_1/objects";
  SUBCASE("cut off") { sys::cut_file(list, 10); }
  SUBCASE("gone") { sys::remove_file(list); }
  place.store.remove("cp_2");
  CHECK(place.object_count() == 2);
  CHECK(place.text_of(damaged, "a") == "one");
  CHECK(place.text_of(place.take("cp_3"), "a") == "two");
  place.store.remove("cp_1");
  place.store.remove("cp_3");
  CHECK(place.object_count() == 0);
}

}  // namespace cellar::checkpoint
