#include "cell/file_batch.h"

#include <doctest/doctest.h>

#include "json/json.h"

namespace cellar::cell {
namespace {

using Happened = FileChange::Kind;

FileChange file(Happened kind, const std::string& path, const std::string& from = "") {
  return {.kind = kind, .path = path, .is_folder = false, .from = from};
}

FileChange folder(Happened kind, const std::string& path, const std::string& from = "") {
  return {.kind = kind, .path = path, .is_folder = true, .from = from};
}

// "created a, deleted b".
std::string named_in(const FileBatch& batch) {
  std::string text;
  const json::Value data = batch.data();
  for (const json::Value& change : data.find("changes")->as_array()) {
    text += (text.empty() ? "" : ", ") + change.find("kind")->as_string() + " " +
            change.find("path")->as_string();
  }
  return text;
}

std::string folders_in(const FileBatch& batch) {
  const json::Value data = batch.data();
  const json::Value* folders = data.find("folders");
  return folders == nullptr ? "" : json::dump(*folders);
}

}  // namespace

TEST_CASE("what happened is said in its order, and what is said already is not said again") {
  FileBatch batch;
  CHECK(batch.empty());
  batch.add(file(Happened::created, "a"));
  batch.add(file(Happened::modified, "a"));
  batch.add(file(Happened::modified, "b"));
  batch.add(file(Happened::modified, "b"));
  batch.add(file(Happened::deleted, "b"));
  batch.add(file(Happened::created, "b"));
  batch.add(folder(Happened::renamed, "new", "old"));
  CHECK_FALSE(batch.empty());
  CHECK(named_in(batch) == "created a, modified b, deleted b, created b, renamed new");
  const std::string text = json::dump(batch.data());
  CHECK(text.find(R"({"kind":"renamed","path":"new","type":"directory","from":"old"})") !=
        text.npos);
  CHECK(text.find("more") == text.npos);
}

TEST_CASE("a file that came and went is not said") {
  FileBatch batch;
  batch.add(file(Happened::created, "x"));
  batch.add(file(Happened::created, "lock"));
  batch.add(file(Happened::modified, "lock"));
  batch.add(file(Happened::deleted, "lock"));
  CHECK(named_in(batch) == "created x");
  batch.add(file(Happened::deleted, "x"));
  CHECK(batch.empty());
}

TEST_CASE("what is behind a name that a folder has left is said anew") {
  FileBatch batch;
  batch.add(file(Happened::created, "a/x"));
  batch.add(folder(Happened::renamed, "b", "a"));
  batch.add(file(Happened::modified, "a/x"));
  batch.add(file(Happened::renamed, "z", "y"));
  batch.add(file(Happened::modified, "y"));
  CHECK(named_in(batch) == "created a/x, renamed b, modified a/x, renamed z, modified y");
}

TEST_CASE("of more than an event names, the folders are said") {
  FileBatch batch;
  for (std::size_t n = 0; n < FileBatch::kNamedMax; ++n) {
    batch.add(file(Happened::created, "n" + std::to_string(n)));
  }
  CHECK(folders_in(batch).empty());
  batch.add(file(Happened::created, "src/one"));
  batch.add(file(Happened::renamed, "to/x", "from/x"));
  CHECK(folders_in(batch) == R"(["from","src","to"])");
  CHECK(batch.data().find("more")->as_bool());
  batch.add(file(Happened::created, "top"));
  CHECK(folders_in(batch) == R"(["."])");
  batch.add(file(Happened::created, "src/two"));
  CHECK(folders_in(batch) == R"(["."])");
}

TEST_CASE("the deepest of too many folders become their parents") {
  FileBatch batch;
  batch.add_below("other/deep/er");
  batch.add_below("src/a");
  batch.add_below("src/a/below");
  CHECK(folders_in(batch) == R"(["other/deep/er","src/a"])");
  for (std::size_t n = 0; n < FileBatch::kFoldersMax; ++n) {
    batch.add_below("packages/" + std::to_string(n) + "/lib");
  }
  CHECK(folders_in(batch) == R"(["other","packages","src/a"])");
  for (std::size_t n = 0; n < 30'000; ++n) {
    batch.add_below("packages/" + std::to_string(n) + "/lib");
  }
  CHECK(folders_in(batch) == R"(["other","packages","src/a"])");
}

TEST_CASE("an event is no larger for names that are as long as they can be") {
  FileBatch batch;
  const std::string name(255, 'x');
  std::string path = name;
  while (path.size() + name.size() < 4000) path += "/" + name;
  for (int n = 0; n < 1000; ++n) {
    batch.add(file(Happened::created, std::to_string(n) + "/" + path + "/" + std::to_string(n)));
  }
  const std::string text = json::dump(batch.data());
  CHECK(text.size() < FileBatch::kNamedBytesMax + FileBatch::kFolderBytesMax + 1000);
}

TEST_CASE("where something is not known, that is all that is said") {
  FileBatch batch;
  batch.add(file(Happened::created, "a"));
  batch.add_below("b");
  batch.reset("overflow");
  batch.add(file(Happened::created, "c"));
  batch.add_below("d");
  CHECK_FALSE(batch.empty());
  CHECK(json::dump(batch.data()) == R"({"changes":[],"reset":true,"reason":"overflow"})");
  batch.lose(Error(ErrorCode::exhausted, "watch_limit", "too many", "have fewer"));
  CHECK(json::dump(batch.data()) ==
        R"({"changes":[],"reset":true,"reason":"watch_limit","watching":false,)"
        R"("message":"too many: have fewer"})");
}

}  // namespace cellar::cell
