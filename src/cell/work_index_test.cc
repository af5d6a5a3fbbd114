#include "cell/work_index.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

// Sorted: how hits are ranked is not this module's matter.
std::vector<std::string> paths(WorkIndex& index, const std::string& query) {
  std::vector<std::string> found;
  for (const search::Hit& hit : index.query(query, {}).hits) found.push_back(hit.path);
  std::sort(found.begin(), found.end());
  return found;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("the next query sees what was written, changed and deleted, whoever did it") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work);
  CHECK(paths(index, "parse config").empty());
  sys::replace_file(dir.file("a.py"), "def parse_config(text):\n    return text\n");
  CHECK(paths(index, "parse config") == Paths{"a.py"});
  sys::replace_file(dir.file("a.py"), "def open_socket(host):\n    return host\n");
  CHECK(paths(index, "parse config").empty());
  CHECK(paths(index, "open socket") == Paths{"a.py"});
  sys::remove_file(dir.file("a.py"));
  CHECK(paths(index, "open socket").empty());
}

TEST_CASE("what git ignores and what others installed is left out") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work);
  for (const char* folder : {"node_modules", "generated", "src"}) {
    sys::make_dirs(dir.file(folder));
    sys::replace_file(dir.file(folder) + "/f.js", "function tokenize_input() {}\n");
  }
  sys::replace_file(dir.file(".gitignore"), "generated/\n");
  CHECK(paths(index, "tokenize input") == Paths{"src/f.js"});
}

TEST_CASE("a document beside the files is found by its name") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work);
  index.put_document("notes#deploy", "how to deploy the frontend\n");
  CHECK(paths(index, "deploy frontend") == Paths{"notes#deploy"});
}

TEST_CASE("files beyond the number that is taken in are left out, until others are gone") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, {.files_max = 3});
  for (const char* name : {"a.py", "b.py", "c.py", "d.py", "e.py"}) {
    sys::replace_file(dir.file(name), "def parse_config(text):\n    return text\n");
  }
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py", "c.py"});
  CHECK(index.query("parse config", {}).left_out_count == 2);
  sys::replace_file(dir.file("b.py"), "def open_socket(host):\n    return host\n");
  CHECK(paths(index, "open socket") == Paths{"b.py"});  // One that is in stays in as it changes.
  sys::remove_file(dir.file("a.py"));
  CHECK(paths(index, "parse config") == Paths{"c.py", "d.py"});
  CHECK(index.query("parse config", {}).left_out_count == 1);
  sys::remove_file(dir.file("b.py"));
  CHECK(index.query("parse config", {}).left_out_count == 0);
  CHECK(paths(index, "parse config") == Paths{"c.py", "d.py", "e.py"});
}

TEST_CASE("text beyond what is taken in is left out, until there is room for it") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, {.text_bytes_max = 100});
  const std::string large = "def parse_config(text):\n" + std::string(60, '#') + "\n";
  sys::replace_file(dir.file("a.py"), large);
  sys::replace_file(dir.file("b.py"), large);
  sys::replace_file(dir.file("c.py"), "parse_config\n");
  CHECK(paths(index, "parse config").size() == 2);
  CHECK(index.query("parse config", {}).left_out_count == 1);
  sys::remove_file(dir.file("a.py"));
  CHECK(paths(index, "parse config").size() == 2);
  CHECK(index.query("parse config", {}).left_out_count == 0);
  sys::replace_file(dir.file("b.py"), std::string(100, 'x'));  // It grew: now it has no room.
  CHECK(paths(index, "parse config") == Paths{"c.py"});
  CHECK(index.query("parse config", {}).left_out_count == 1);
}

}  // namespace cellar::cell
