#include "diff/patch.h"

#include <doctest/doctest.h>

namespace cellar::diff {
namespace {

constexpr unsigned kFile = 0100644;

std::string patch(std::string_view before, std::string_view after) {
  return patch_of(PatchSide{"f", kFile, before}, PatchSide{"f", kFile, after});
}

}  // namespace

TEST_CASE("a change is shown with three lines around, near ones in one hunk") {
  CHECK(patch("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n",
              "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\nnew\n13\n14\n") ==
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n"
        "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        "@@ -10,5 +10,6 @@\n 10\n 11\n 12\n+new\n 13\n 14\n");
  CHECK(patch("1\n2\n3\n4\n5\n6\n7\n8\n", "one\n2\n3\n4\n5\n6\n7\neight\n") ==
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n"
        "@@ -1,8 +1,8 @@\n-1\n+one\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+eight\n");
  CHECK(patch("same\n", "same\n").empty());
}

TEST_CASE("a missing line end, a new file and one that is gone are said as git does") {
  CHECK(
      patch("a", "a\n") ==
      "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
  CHECK(patch_of(std::nullopt, PatchSide{"x y", 0100755, "1\n2\n"}) ==
        "diff --git a/x y b/x y\nnew file mode 100755\n--- /dev/null\n+++ b/x y\t\n"
        "@@ -0,0 +1,2 @@\n+1\n+2\n");
  CHECK(patch_of(PatchSide{"f", kFile, ""}, std::nullopt) ==
        "diff --git a/f b/f\ndeleted file mode 100644\n");
  CHECK(patch_of(PatchSide{"l", 0120000, "to"}, PatchSide{"l", kFile, "to"}) ==
        "diff --git a/l b/l\ndeleted file mode 120000\n--- a/l\n+++ /dev/null\n@@ -1 +0,0 @@\n-to\n"
        "\\ No newline at end of file\n"
        "diff --git a/l b/l\nnew file mode 100644\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+to\n"
        "\\ No newline at end of file\n");
}

TEST_CASE("another mode and another name need no hunk") {
  CHECK(patch_of(PatchSide{"f", kFile, "a\n"}, PatchSide{"g", 0100755, "a\n"}) ==
        "diff --git a/f b/g\nold mode 100644\nnew mode 100755\n"
        "similarity index 100%\nrename from f\nrename to g\n");
}

TEST_CASE("a path that could be misread is quoted") {
  CHECK(quoted_path("a b/c.txt") == "a b/c.txt");
  CHECK(quoted_path("\xc3\xa4\n\"\\") == R"("\303\244\012\"\\")");
}

TEST_CASE("text is UTF-8 without a NUL byte") {
  CHECK(is_text("gr\xc3\xbc\xc3\x9f"));
  CHECK_FALSE(is_text(std::string_view("a\0b", 3)));
  CHECK_FALSE(is_text("\xff"));
}

}  // namespace cellar::diff
