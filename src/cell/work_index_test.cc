#include "cell/work_index.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "sys/directory.h"
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

// Where a query is to find all, however slow the machine is.
const WorkIndex::Options kUnhurried{.read_for = std::chrono::hours(1)};

const std::string kCode = "def parse_config(text):\n    return text\n";

// What is done to a/b/x.py and around it, which files have its code then, and how often a query
// has to look at all files for that.
struct Change {
  std::string what;
  std::function<void(const testing::TempDir&)> make;
  Paths found;
  std::size_t look_count;
};

std::vector<Change> changes() {
  return {
      {"nothing", [](auto&) {}, {"a/b/x.py"}, 0},
      {"a new file",
       [](auto& dir) { sys::replace_file(dir.file("a/y.py"), kCode); },
       {"a/b/x.py", "a/y.py"},
       0},
      {"a link, which is none of the files",
       [](auto& dir) { sys::replace_link(dir.file("a/link.py"), "b/x.py"); },
       {"a/b/x.py"},
       0},
      {"a file that moves",
       [](auto& dir) { sys::rename_file(dir.file("a/b/x.py"), dir.file("z.py")); },
       {"z.py"},
       0},
      {"a file that goes", [](auto& dir) { sys::remove_file(dir.file("a/b/x.py")); }, {}, 0},
      {"new folders, filled before anybody watches them",
       [](auto& dir) {
         sys::make_dirs(dir.file("n/m"));
         sys::replace_file(dir.file("n/m/x.py"), kCode);
       },
       {"a/b/x.py", "n/m/x.py"},
       0},
      {"a new folder with rules of its own",
       [](auto& dir) {
         sys::make_dirs(dir.file("n/m"));
         sys::replace_file(dir.file("n/.gitignore"), "m\n");
         sys::replace_file(dir.file("n/m/x.py"), kCode);
       },
       {"a/b/x.py"},
       0},
      {"new folders that nobody reads",
       [](auto& dir) {
         for (const char* folder : {"node_modules", "a/generated"}) {
           sys::make_dirs(dir.file(folder));
           sys::replace_file(dir.file(folder) + "/x.py", kCode);
           sys::remove_tree(dir.file(folder));
         }
       },
       {"a/b/x.py"},
       0},
      {"a folder that moves",
       [](auto& dir) { sys::rename_file(dir.file("a/b"), dir.file("c")); },
       {"c/x.py"},
       1},
      {"a folder that goes", [](auto& dir) { sys::remove_tree(dir.file("a")); }, {}, 1},
      {"other rules",
       [](auto& dir) { sys::replace_file(dir.file(".gitignore"), "x.py\n"); },
       {},
       1},
  };
}

}  // namespace

TEST_CASE("the next query sees what was written, changed and deleted, whoever did it") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  CHECK(paths(index, "parse config").empty());
  sys::replace_file(dir.file("a.py"), kCode);
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
  WorkIndex index(work, kUnhurried);
  for (const char* folder : {"node_modules", "generated", "src"}) {
    sys::make_dirs(dir.file(folder));
    sys::replace_file(dir.file(folder) + "/f.js", "function tokenize_input() {}\n");
  }
  sys::replace_file(dir.file(".gitignore"), "generated/\n");
  CHECK(paths(index, "tokenize input") == Paths{"src/f.js"});
}

TEST_CASE("where patterns are too slow, what is known stays, and what is new is counted") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  for (const char* name : {"a.py", "b.py"}) sys::replace_file(dir.file(name), kCode);
  auto options = kUnhurried;
  options.patterns = {.steps_max = 500, .steps_per_path = 0};
  WorkIndex index(work, options);
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py"});
  sys::replace_file(dir.file(".gitignore"), "*[" + std::string(500, 'x') + "]x\n");
  sys::make_dirs(dir.file("n"));
  for (const char* name : {"c.py", "n/d.py"}) sys::replace_file(dir.file(name), kCode);
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py"});
  CHECK(index.query("parse config", {}).left_out_count == 3);
  CHECK(index.look_count() == 2);
  sys::remove_file(dir.file("a.py"));
  sys::replace_file(dir.file("b.py"), "def close_window(id):\n    return id\n");
  CHECK(paths(index, "parse config").empty());
  CHECK(paths(index, "close window") == Paths{"b.py"});
  CHECK(index.look_count() == 2);
  sys::replace_file(dir.file(".gitignore"), "n/\n");
  CHECK(paths(index, "parse config") == Paths{"c.py"});
  CHECK(index.query("parse config", {}).left_out_count == 0);
}

TEST_CASE("a query for a regular expression says whether its time was over") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  sys::replace_file(dir.file("a.py"), kCode);
  WorkIndex index(work, kUnhurried);
  search::QueryOptions options{.mode = search::Mode::regex};
  CHECK_FALSE(index.query("parse", options).out_of_time);
  options.regex_time_max = std::chrono::milliseconds(0);
  CHECK(index.query("parse", options).out_of_time);
}

TEST_CASE("a document beside the files is found by its name") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  index.put_document("notes#deploy", "how to deploy the frontend\n");
  CHECK(paths(index, "deploy frontend") == Paths{"notes#deploy"});
}

TEST_CASE("whatever is done to files and folders, the next query sees it and looks at those only") {
  for (const Change& change : changes()) {
    CAPTURE(change.what);
    const testing::TempDir dir;
    const sys::BeneathDir work(dir.path());
    sys::make_dirs(dir.file("a/b"));
    sys::replace_file(dir.file(".gitignore"), "generated/\n");
    sys::replace_file(dir.file("a/b/x.py"), kCode);
    WorkIndex index(work, kUnhurried);
    REQUIRE(paths(index, "parse config") == Paths{"a/b/x.py"});
    REQUIRE(index.status().watching);
    REQUIRE(index.look_count() == 1);
    change.make(dir);
    CHECK(paths(index, "parse config") == change.found);
    CHECK(index.look_count() == 1 + change.look_count);
    // And it is watched where it is now.
    sys::make_dirs(dir.file("n/m"));
    sys::replace_file(dir.file("n/m/later.py"), "def open_socket(host):\n    return host\n");
    const bool ignored = sys::exists(dir.file("n/.gitignore"));
    CHECK(paths(index, "open socket") == (ignored ? Paths() : Paths{"n/m/later.py"}));
    CHECK(index.look_count() == 1 + change.look_count);
  }
}

TEST_CASE("a file is read again although size and times are those that it had") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  for (int round = 0; round < 100; ++round) {  // Times have steps of some milliseconds.
    const std::string name = round % 2 == 0 ? "parse_config" : "open_sockets";
    sys::write_all_at(sys::open_file(dir.file("a.py"), O_WRONLY | O_CREAT).get(),
                      "def " + name + "():\n    pass\n", 0, "a.py");
    CHECK(paths(index, name) == Paths{"a.py"});
  }
  CHECK(index.look_count() == 1);
}

TEST_CASE("a write through one name of a file is seen under its others") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  sys::replace_file(dir.file("a.py"), kCode);
  std::filesystem::create_hard_link(dir.file("a.py"), dir.file("b.py"));
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py"});
  sys::write_all(sys::open_file(dir.file("b.py"), O_WRONLY | O_APPEND).get(),
                 "def open_socket(host):\n    return host\n", "b.py");
  CHECK(paths(index, "open socket") == Paths{"a.py", "b.py"});
}

TEST_CASE("where files cannot be watched, each query looks at all of them, until they can be") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  sys::make_dirs(dir.file("a/b"));
  sys::replace_file(dir.file("a/b/x.py"), kCode);
  WorkIndex index(work, {.folders_watched_max = 2});
  CHECK(paths(index, "parse config") == Paths{"a/b/x.py"});
  CHECK_FALSE(index.status().watching);
  sys::remove_file(dir.file("a/b/x.py"));
  CHECK(paths(index, "parse config").empty());
  CHECK(index.look_count() == 3);

  WorkIndex hopeful(work, {.folders_watched_max = 2, .look_again_after = {}});
  CHECK_FALSE(hopeful.status().watching);
  sys::remove_tree(dir.file("a/b"));
  CHECK(hopeful.status().watching);
}

TEST_CASE("all files are looked at after a rest, and when the last time is long ago") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  CHECK(index.status().watching);
  index.stop_watching();
  sys::replace_file(dir.file("x.py"), kCode);
  CHECK(paths(index, "parse config") == Paths{"x.py"});
  CHECK(index.look_count() == 2);
  WorkIndex forgetful(work, {.look_again_after = {}});
  CHECK(paths(forgetful, "parse config") == Paths{"x.py"});
  CHECK(paths(forgetful, "parse config") == Paths{"x.py"});
  CHECK(forgetful.look_count() == 2);
}

TEST_CASE("what changed under a name that is gone by now is seen under the other one") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  sys::replace_file(dir.file("a.py"), kCode);
  std::filesystem::create_hard_link(dir.file("a.py"), dir.file("b.py"));
  WorkIndex index(work, kUnhurried);
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py"});
  const auto append = [&](const std::string& path, std::string_view text) {
    sys::write_all(sys::open_file(dir.file(path), O_WRONLY | O_APPEND).get(), text, path);
  };
  append("a.py", "\ndef open_socket(host):\n    return host\n");
  sys::remove_file(dir.file("a.py"));
  CHECK(paths(index, "open socket") == Paths{"b.py"});
  sys::make_dirs(dir.file("n"));
  std::filesystem::create_hard_link(dir.file("b.py"), dir.file("n/c.py"));
  append("n/c.py", "\ndef close_window(id):\n    return id\n");
  CHECK(paths(index, "close window") == Paths{"b.py", "n/c.py"});
}

TEST_CASE("rules that are a link to another file are none") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  sys::replace_file(dir.file("a.py"), kCode);
  sys::replace_file(dir.file("rules.txt"), "a.py\n");
  sys::replace_link(dir.file(".gitignore"), "rules.txt");
  WorkIndex index(work, kUnhurried);
  CHECK(paths(index, "parse config") == Paths{"a.py"});
}

TEST_CASE("more changes than the kernel keeps are seen all the same") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  const sys::Fd first = sys::open_file(dir.file("a.py"), O_WRONLY | O_CREAT);
  const sys::Fd second = sys::open_file(dir.file("b.py"), O_WRONLY | O_CREAT);
  CHECK(index.status().index.file_count == 2);
  for (int count = 0; count < 20'000; ++count) {
    sys::write_all_at(first.get(), "#", 0, "a.py");
    sys::write_all_at(second.get(), "#", 0, "b.py");
  }
  sys::replace_file(dir.file("c.py"), kCode);
  CHECK(paths(index, "parse config") == Paths{"c.py"});
  CHECK(index.look_count() == 2);
}

TEST_CASE(
    "what a query does not wait for is read later, and what changed meanwhile is read first") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  for (const char* name : {"a.py", "b.py", "c.py", "d.py"}) {
    sys::replace_file(dir.file(name), kCode);
  }
  WorkIndex index(work, {.read_for = {}});  // One file each time.
  const auto first = index.query("parse config", {});
  CHECK(first.hits.size() == 1);
  CHECK(first.indexing == 0.25);
  CHECK_FALSE(index.is_complete());
  sys::write_all(sys::open_file(dir.file("d.py"), O_WRONLY | O_TRUNC).get(),
                 "def open_socket(host):\n    return host\n", "d.py");
  CHECK(index.symbols("open_socket", 1).symbols.size() == 1);
  CHECK(index.status().indexing == 0.6);  // Three files are read, and two wait: d.py does again.
  CHECK(index.look_count() == 1);
  index.read_on(std::chrono::minutes(1));
  CHECK(index.is_complete());
  CHECK_FALSE(index.status().indexing.has_value());
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py", "c.py"});
  CHECK(index.look_count() == 1);
}

TEST_CASE("a look that takes longer than a query waits goes on later, and misses nothing") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  for (const char* folder : {"a", "b", "c"}) {
    sys::make_dirs(dir.file(folder));
    sys::replace_file(dir.file(folder) + "/x.py", kCode);
  }
  WorkIndex index(work, {.read_for = {}});  // One folder each time, and one file.
  CHECK(paths(index, "parse config").empty());
  CHECK(index.indexing() == 0);
  CHECK(paths(index, "parse config") == Paths{"a/x.py"});
  CHECK(index.indexing() == 1.0 / 3);
  // Where the look was, and where it comes to.
  sys::replace_file(dir.file("a/x.py"), "def open_socket(host):\n    return host\n");
  sys::replace_file(dir.file("a/y.py"), kCode);
  sys::remove_file(dir.file("c/x.py"));
  index.read_on(std::chrono::minutes(1));
  CHECK(index.is_complete());
  CHECK(paths(index, "open socket") == Paths{"a/x.py"});  // Who asks waits for one file.
  index.read_on(std::chrono::minutes(1));
  CHECK(paths(index, "parse config") == Paths{"a/y.py", "b/x.py"});
  CHECK(index.look_count() == 1);
}

TEST_CASE("a look that is under way when the cell rests begins anew") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  sys::make_dirs(dir.file("a"));
  sys::replace_file(dir.file("a/x.py"), kCode);
  WorkIndex index(work, {.read_for = {}});
  CHECK(paths(index, "parse config").empty());
  index.stop_watching();
  CHECK(index.is_complete());
  CHECK(paths(index, "parse config").empty());
  CHECK(paths(index, "parse config") == Paths{"a/x.py"});
  CHECK(index.look_count() == 2);
}

TEST_CASE("a full index of a large tree is not looked through for each query") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  for (const char* name : {"a.py", "b.py", "c.py"}) sys::replace_file(dir.file(name), kCode);
  const WorkIndex::Options options{.limits = {.files_max = 2}, .looked_often_max = 2};
  WorkIndex index(work, options);
  CHECK(paths(index, "parse config") == Paths{"a.py", "b.py"});
  sys::replace_file(dir.file("a.py"), "def open_socket(host):\n    return host\n");
  CHECK(paths(index, "open socket") == Paths{"a.py"});
  sys::remove_file(dir.file("a.py"));
  CHECK(paths(index, "parse config") == Paths{"b.py"});
  CHECK(index.query("parse config", {}).left_out_count == 1);
  CHECK(index.look_count() == 1);
  index.stop_watching();  // A look comes for another reason, such as that a minute went by.
  CHECK(paths(index, "parse config") == Paths{"b.py", "c.py"});
}

TEST_CASE("files that change again before they are read do not make the queue longer without end") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  const auto change = [&](const std::string& name) {
    sys::write_all(sys::open_file(dir.file(name), O_WRONLY | O_CREAT | O_APPEND).get(), kCode,
                   name);
  };
  for (const char* name : {"a.py", "b.py", "c.py"}) change(name);
  WorkIndex index(work, {.limits = {.files_max = 3}, .read_for = {}});
  CHECK(paths(index, "parse config") == Paths{"a.py"});
  change("a.py");
  CHECK(index.status().indexing.has_value());
  CHECK(index.look_count() == 1);
  change("a.py");
  change("b.py");
  CHECK(index.status().indexing.has_value());
  CHECK(index.look_count() == 2);
}

TEST_CASE("a file that is gone, or is none, when its turn to be read comes is none of the index") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  for (const char* name : {"a.py", "b.py", "c.py"}) sys::replace_file(dir.file(name), kCode);
  WorkIndex index(work, {.read_for = {}});
  CHECK(paths(index, "parse config") == Paths{"a.py"});
  sys::remove_file(dir.file("b.py"));
  sys::replace_link(dir.file("c.py"), "a.py");
  index.read_on(std::chrono::minutes(1));
  CHECK(paths(index, "parse config") == Paths{"a.py"});
}

TEST_CASE("from its snapshot an index knows all, and reads only what changed since") {
  const testing::TempDir dir;
  sys::make_dirs(dir.file("work"));
  const sys::BeneathDir work(dir.file("work"));
  sys::replace_file(dir.file("work/a.py"), kCode);
  sys::replace_file(dir.file("work/b.py"), kCode);
  {
    WorkIndex index(work, kUnhurried);
    index.load(dir.file("index"));
    index.put_document("notes", "parse config\n");
    CHECK(paths(index, "parse config") == Paths{"a.py", "b.py", "notes"});
    CHECK_FALSE(index.is_worth_saving());
    index.write_snapshot(dir.file("index")).value().replace();
    CHECK_FALSE(index.write_snapshot(dir.file("index")).has_value());
  }
  sys::replace_file(dir.file("index/snapshot.tmp-1"), "what a crash left");
  {
    WorkIndex index(work, kUnhurried);
    index.load(dir.file("index"));
    CHECK_FALSE(sys::exists(dir.file("index/snapshot.tmp-1")));
    CHECK(paths(index, "parse config") == Paths{"a.py", "b.py", "notes"});
    CHECK_FALSE(index.write_snapshot(dir.file("index")).has_value());
  }
  sys::remove_file(dir.file("work/a.py"));
  sys::replace_file(dir.file("work/c.py"), kCode);
  WorkIndex index(work, kUnhurried);
  index.load(dir.file("index"));
  index.retain_documents([](const std::string&) { return false; });
  CHECK(paths(index, "parse config") == Paths{"b.py", "c.py"});
  CHECK(index.write_snapshot(dir.file("index")).has_value());
}

TEST_CASE("a snapshot whose files changed is not kept in memory") {
  const testing::TempDir dir;
  sys::make_dirs(dir.file("work"));
  const sys::BeneathDir work(dir.file("work"));
  // Files of some 700 chunks each: where less than 1,000 are dead, they stay.
  const auto write_all = [&](const std::string& line) {
    std::string text;
    while (text.size() < 900'000) text += line;
    for (const char* name : {"a.py", "b.py"}) sys::replace_file(dir.file("work/") + name, text);
  };
  const auto count = [](WorkIndex& index, const std::string& regex) {
    const search::QueryOptions options{.chunks_per_file = 1, .mode = search::Mode::regex};
    return index.query(regex, options).hits.size();
  };
  write_all(kCode);
  {
    WorkIndex index(work, kUnhurried);
    CHECK(count(index, "parse_config") == 2);
    index.write_snapshot(dir.file("index")).value().replace();
    CHECK_FALSE(index.holds_snapshot());
  }
  WorkIndex index(work, kUnhurried);
  index.load(dir.file("index"));
  CHECK(count(index, "parse_config") == 2);
  CHECK(index.holds_snapshot());
  write_all("def open_socket(host):\n    return host\n");
  CHECK(count(index, "open_socket") == 2);
  CHECK_FALSE(index.holds_snapshot());
  CHECK(count(index, "parse_config") == 0);
  CHECK(index.query("open socket", {}).hits.size() > 0);
}

TEST_CASE("a snapshot that is damaged is passed over") {
  const testing::TempDir dir;
  sys::make_dirs(dir.file("work"));
  sys::make_dirs(dir.file("index"));
  const sys::BeneathDir work(dir.file("work"));
  sys::replace_file(dir.file("work/a.py"), kCode);
  for (const char* bytes : {"", "no snapshot"}) {
    sys::replace_file(dir.file("index/snapshot"), bytes);
    WorkIndex index(work, kUnhurried);
    index.load(dir.file("index"));
    CHECK(paths(index, "parse config") == Paths{"a.py"});
  }
}

TEST_CASE("a thousand changes are worth a snapshot") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, kUnhurried);
  for (int i = 0; i < 999; ++i) index.put_document(std::to_string(i), "text\n");
  CHECK_FALSE(index.is_worth_saving());
  index.put_document("one more", "text\n");
  CHECK(index.is_worth_saving());
  index.write_snapshot(dir.path()).value().replace();
  CHECK_FALSE(index.is_worth_saving());
}

TEST_CASE("files beyond the number that is taken in are left out, until others are gone") {
  const testing::TempDir dir;
  const sys::BeneathDir work(dir.path());
  WorkIndex index(work, {.limits = {.files_max = 3}});
  for (const char* name : {"a.py", "b.py", "c.py", "d.py", "e.py"}) {
    sys::replace_file(dir.file(name), kCode);
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
  WorkIndex index(work, {.limits = {.text_bytes_max = 100}});
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
