#include "doctor/state_ids.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::doctor {

TEST_CASE("a state folder keeps the ids that it was begun with") {
  const testing::TempDir state;
  const sys::OwnIds ids{100000, 200000};
  require_state_ids(state.path().string(), ids);
  CHECK_FALSE(sys::exists(state.file("ids")));
  note_state_ids(state.path().string(), ids);
  CHECK(sys::read_file(state.file("ids")) == "100000 200000\n");
  note_state_ids(state.path().string(), ids);
  require_state_ids(state.path().string(), ids);
}

TEST_CASE("others are refused, and the refusal names both and what to do") {
  const testing::TempDir state;
  note_state_ids(state.path().string(), {100000, 200000});
  for (const sys::OwnIds& other : {sys::OwnIds{165536, 200000}, sys::OwnIds{100000, 165536}}) {
    CAPTURE(other.first_user);
    try {
      note_state_ids(state.path().string(), other);
      FAIL("accepted");
    } catch (const Error& error) {
      const std::string what = error.what();
      CHECK(error.code() == ErrorCode::conflict);
      CHECK(what.find("users from 100000, groups from 200000") != std::string::npos);
      CHECK(what.find("165536") != std::string::npos);
      CHECK(error.remediation().find("100000:65536") != std::string::npos);
    }
  }
  CHECK(sys::read_file(state.file("ids")) == "100000 200000\n");
}

TEST_CASE("a record that is none is told, not taken for another range") {
  const testing::TempDir state;
  for (const char* text : {"", "100000", "a b", "1 2 3"}) {
    CAPTURE(text);
    sys::replace_file(state.file("ids"), text);
    CHECK_THROWS_AS(require_state_ids(state.path().string(), {100000, 100000}), Error);
  }
}

}  // namespace cellar::doctor
