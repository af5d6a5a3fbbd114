#include "cell/files_told.h"

#include <doctest/doctest.h>

using namespace cellar::cell;

TEST_CASE("what is noted of a paused cell's files does not outlive the machine") {
  CHECK(decode_files_told(encode_files_told(FilesToldFor::good)) == FilesToldFor::good);
  CHECK(decode_files_told(encode_files_told(FilesToldFor::this_boot)) == FilesToldFor::this_boot);
  CHECK_FALSE(decode_files_told(R"({"for_good": false, "boot_id": "another"})").has_value());
  CHECK_FALSE(decode_files_told(std::nullopt).has_value());
  CHECK_FALSE(decode_files_told("").has_value());
  CHECK_FALSE(decode_files_told(R"({"for_good": tr)").has_value());
}
