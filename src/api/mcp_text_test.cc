#include "api/mcp_text.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

namespace cellar::api {
namespace {

// The reason and the remedy that an edit is refused with.
std::string edit_refusal(std::string_view text, const Replacement& how) {
  try {
    replace_text("a.txt", text, how);
  } catch (const Error& error) {
    return error.reason() + ": " + error.what() + "; " + error.remediation();
  }
  return {};
}

}  // namespace

TEST_CASE("a text that is too long keeps its beginning and its end") {
  CHECK(clip_middle("0123456789", 10) == "0123456789");
  CHECK(clip_middle("0123456789a", 10) == "01234\n[… 1 bytes left out …]\n6789a");
  const std::string clipped = clip_middle("ééééééé", 7);  // two bytes each: none is cut
  CHECK(clipped == "é\n[… 10 bytes left out …]\né");
}

TEST_CASE("lines are shown as they are, within what was asked for") {
  const ShownLines all = show_lines("a\nb\nc", 1, 0);
  CHECK(all.text == "a\nb\nc");
  CHECK(all.total == 3);
  CHECK(all.last == 3);
  CHECK(!all.truncated);
  const ShownLines some = show_lines("a\nb\nc\n", 2, 2);
  CHECK(some.text == "b\n");
  CHECK(some.total == 3);
  CHECK(!some.truncated);
  CHECK(show_lines("a\n", 1, 99).text == "a\n");
  const ShownLines none = show_lines("", 1, 0);
  CHECK(none.text.empty());
  CHECK(none.last == 0);
  CHECK(!none.truncated);
  CHECK_THROWS_AS(show_lines("a\nb\n", 3, 0), Error);
}

TEST_CASE("neither lines nor bytes are shown without end") {
  std::string many;
  for (std::size_t i = 0; i <= kLinesShownMax; ++i) many += "x\n";
  const ShownLines lines = show_lines(many, 1, 0);
  CHECK(lines.last == kLinesShownMax);
  CHECK(lines.truncated);
  CHECK(!show_lines(many, 2, 0).truncated);

  const std::string half(kLineBytesShownMax / 2, 'x');
  const ShownLines bytes = show_lines(half + "\n" + half + "\nz\n", 1, 0);
  CHECK(bytes.last == 1);
  CHECK(bytes.truncated);
  CHECK(!bytes.is_cut);

  const ShownLines cut = show_lines("x" + half + half + "é", 1, 0);
  CHECK(cut.is_cut);
  CHECK(cut.truncated);
  CHECK(cut.text.size() == kLineBytesShownMax);
  std::string wide;
  while (wide.size() <= kLineBytesShownMax) wide += "日";
  CHECK(is_valid_utf8(show_lines(wide, 1, 0).text));
}

TEST_CASE("a text that is there once is replaced") {
  const Replaced one = replace_text("a", "1\n2\n3\n", {"2\n", "two\n"});
  CHECK(one.text == "1\ntwo\n3\n");
  CHECK(one.count == 1);
  CHECK(one.first_line == 2);
  const Replaced all = replace_text("a", "x.x.x", {"x", "", true});
  CHECK(all.text == "..");
  CHECK(all.count == 3);
}

TEST_CASE("an edit that is refused says what to do") {
  CHECK(edit_refusal("a", {"", "b"}).starts_with("nothing_to_edit: \"old_string\" is empty"));
  CHECK(edit_refusal("a", {"a", "a"}).starts_with("nothing_to_edit: "));
  CHECK(edit_refusal("a\nb\na\n", {"a", "c"}) ==
        "text_not_unique: \"old_string\" is 2 times in a.txt, on lines 1, 3; add lines around the "
        "one that is meant, or set \"replace_all\"");
  CHECK(
      edit_refusal("a", {"b", "c"}).starts_with("text_not_found: \"old_string\" is not in a.txt"));
  const std::string tabs = edit_refusal("x\n\tif (a) {\n\t\tb();\n", {"  if (a) {\n    b();", "c"});
  CHECK(tabs.find("line 2 begins the same text with other white space") != tabs.npos);
  const std::string ends = edit_refusal("one\r\ntwo\r\n", {"one\ntwo\n", "c"});
  CHECK(ends.find("line 1 begins the same text") != ends.npos);
  std::string often;
  for (int i = 0; i < 11; ++i) often += "a\n";
  CHECK(edit_refusal(often, {"a", "b"}).find("9, 10, …") != std::string::npos);
  const std::size_t count = (kEditedBytesMax >> 10) + 1;
  CHECK(edit_refusal(std::string(count, 'a'), {"a", std::string(1 << 10, 'b'), true}) ==
        "file_too_large: a.txt would have 16778240 bytes, at most 16777216; edit it with exec, "
        "such as by sed -i");
}

TEST_CASE("an edit takes no longer for a text that nearly matches everywhere") {
  const std::string text(1 << 20, 'a');
  const Replacement how{std::string(1 << 19, 'a') + "b", "c"};
  CHECK(edit_refusal(text, how).starts_with("text_not_found"));  // Ends today: see memmem().
}

}  // namespace cellar::api
