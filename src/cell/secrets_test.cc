#include "cell/secrets.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {

TEST_CASE("what was sealed opens again, with the same key and for the same cell only") {
  const Sealer sealer(std::string(32, 'k'));
  const std::string sealed = sealer.seal("OPENAI_API_KEY=x", "cell-1");
  CHECK(sealed.find("OPENAI") == std::string::npos);
  CHECK(sealer.open(sealed, "cell-1") == "OPENAI_API_KEY=x");
  CHECK_FALSE(sealer.open(sealed, "cell-2").has_value());
  CHECK_FALSE(Sealer(std::string(32, 'o')).open(sealed, "cell-1").has_value());
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string damaged = sealed;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK_FALSE(sealer.open(damaged, "cell-1").has_value());
  }
  CHECK_FALSE(sealer.open("short", "cell-1").has_value());
  CHECK(sealer.open(sealer.seal("", "c"), "c") == "");
}

TEST_CASE("the key file is made once, private, and refused when others can read it") {
  const testing::TempDir dir;
  const std::string path = dir.file("keys/seal.key");
  const std::string sealed = Sealer::from_key_file(path).seal("x", "c");
  CHECK(Sealer::from_key_file(path).open(sealed, "c") == "x");
  ::chmod(path.c_str(), 0644);
  CHECK_THROWS_AS(Sealer::from_key_file(path), Error);
  ::chmod(path.c_str(), 0600);
  sys::replace_file(path, "too short");
  CHECK_THROWS_AS(Sealer::from_key_file(path), Error);
}

TEST_CASE("a state folder knows the key that it is sealed with") {
  const testing::TempDir dir;
  const Sealer first(std::string(32, 'k'));
  CHECK(first.is_key_of(dir.path()));
  CHECK(first.is_key_of(dir.path()));
  CHECK_FALSE(Sealer(std::string(32, 'o')).is_key_of(dir.path()));
  CHECK(first.is_key_of(dir.path()));
}

}  // namespace cellar::cell
