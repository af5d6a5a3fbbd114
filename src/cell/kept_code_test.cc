#include "cell/kept_code.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

TEST_CASE("code of the agent host is kept up to its limit, and no file is made of more") {
  const testing::TempDir dir;
  const std::string most(kCodeBytesMax, 'c');
  keep_code(dir.path(), "v20.1.0-x64-1.code", most);
  CHECK(sys::read_file(dir.file("v20.1.0-x64-1.code")) == most);
  CHECK_THROWS_AS(keep_code(dir.path(), "v20.2.0-x64-1.code", most + "c"), Error);
  CHECK_FALSE(sys::exists(dir.file("v20.2.0-x64-1.code")));
}

TEST_CASE("code that is damaged, or has no digest, is not kept") {
  const testing::TempDir dir;
  const std::string names[] = {"v20.1.0-x64-1.code", "v20.2.0-x64-1.code", "v20.3.0-x64-1.code"};
  for (const std::string& name : names) keep_code(dir.path(), name, "what V8 made");
  keep_code(dir.path(), names[0], "what V8 made of more");
  sys::replace_file(dir.file(names[1]), "what V8 mbde", 0644);
  sys::remove_file(dir.file(names[2] + ".sha256"));
  drop_damaged_code(dir.path());
  CHECK(sys::read_file(dir.file(names[0])) == "what V8 made of more");
  CHECK_FALSE(sys::exists(dir.file(names[1])));
  CHECK_FALSE(sys::exists(dir.file(names[2])));
}

TEST_CASE("its name is one of a file beside the agent host's own, and never one of those") {
  const std::string longest = std::string(kCodeNameMax - 5, 'v') + ".code";
  CHECK(is_code_name(longest));
  for (const std::string& name :
       {"v" + longest, std::string("../v20.code"), std::string("a/b.code"), std::string(".code"),
        std::string("host.js"), std::string()}) {
    CAPTURE(name);
    CHECK_FALSE(is_code_name(name));
    const testing::TempDir dir;
    CHECK_THROWS_AS(keep_code(dir.path(), name, "c"), Error);
  }
}

}  // namespace
}  // namespace cellar::cell
