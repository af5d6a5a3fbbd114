#include "image/oci.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "base/sha256.h"
#include "image/digest.h"
#include "sys/file.h"
#include "sys/process.h"
#include "testing/temp_dir.h"

namespace cellar::image {
namespace {

namespace fs = std::filesystem;

// A layout whose layers are folders with these names, packed by what tar is told to pack of them.
struct Layout {
  testing::TempDir dir;
  std::string layers;

  Layout() { fs::create_directories(dir.path() / "layout/blobs/sha256"); }

  std::string folder(const std::string& name) const {
    fs::create_directories(dir.path() / name);
    return dir.file(name);
  }
  // Adds a file and gives its path.
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(dir.file(path)).parent_path());
    sys::replace_file(dir.file(path), text);
  }
  std::string read(const std::string& path) const {
    return sys::read_file(dir.file(path)).value_or("none");
  }
  void add(const std::string& name, const std::string& packed) {
    const std::string file = dir.file("layer.tar");
    sys::run_program("tar", {"--create", "--file", file, "--directory", folder(name), packed});
    const std::string digest = digest_of(sys::open_file(file, O_RDONLY), file);
    fs::rename(file, blob(digest));
    layers += (layers.empty() ? "" : ",") + descriptor(digest);
  }
  std::string blob(const std::string& digest) const {
    return dir.file("layout/blobs/sha256/" + digest);
  }
  static std::string descriptor(const std::string& digest) {
    return R"({"digest":"sha256:)" + digest + R"("})";
  }
  void unpack() const {
    const std::string manifest = R"({"layers":[)" + layers + "]}";
    sys::replace_file(blob(sha256_hex(manifest)), manifest);
    sys::replace_file(dir.file("layout/index.json"),
                      R"({"manifests":[)" + descriptor(sha256_hex(manifest)) + "]}");
    unpack_oci(dir.file("layout"), folder("root"));
  }
};

}  // namespace

TEST_CASE("a layer writes nothing through a link of an earlier one that leads outside") {
  Layout layout;
  layout.write("outside/passwd", "of the machine");
  layout.folder("first");
  fs::create_directory_symlink(layout.dir.path() / "outside", layout.dir.path() / "first/etc");
  layout.add("first", ".");
  layout.write("second/etc/passwd", "of the image");
  SUBCASE("a folder of that name takes the link's place") {
    layout.add("second", ".");
    layout.unpack();
    CHECK(fs::is_directory(fs::symlink_status(layout.dir.path() / "root/etc")));
    CHECK(layout.read("root/etc/passwd") == "of the image");
  }
  SUBCASE("what only lies below it is refused") {
    layout.add("second", "etc/passwd");
    CHECK_THROWS_WITH_AS(layout.unpack(), doctest::Contains("below etc, a link that leads out"),
                         Error);
  }
  CHECK(layout.read("outside/passwd") == "of the machine");
}

TEST_CASE(
    "a layer's files come over those of earlier ones, also through a link that stays inside") {
  Layout layout;
  layout.write("first/usr/lib/kept", "kept");
  layout.write("first/usr/lib/changed", "old");
  layout.write("first/data/was/a/folder", "x");
  fs::create_directory_symlink("usr/lib", layout.dir.path() / "first/lib");
  layout.add("first", ".");
  layout.write("second/lib/changed", "new");
  layout.add("second", "lib/changed");
  layout.write("third/data/was", "a file now");
  REQUIRE(::chmod(layout.dir.file("third/data").c_str(), 01777) == 0);
  layout.add("third", "data");
  layout.unpack();
  CHECK(layout.read("root/usr/lib/kept") == "kept");
  CHECK(layout.read("root/usr/lib/changed") == "new");
  CHECK(fs::is_symlink(layout.dir.path() / "root/lib"));
  CHECK(layout.read("root/data/was") == "a file now");
  const auto mode = fs::status(layout.dir.path() / "root/data").permissions();
  CHECK(static_cast<unsigned>(mode) == 01777);
}

}  // namespace cellar::image
