#include "base/error.h"

#include <doctest/doctest.h>

#include <cerrno>

namespace cellar {

TEST_CASE("an errno becomes a message that names the call and the thing") {
  errno = EACCES;
  try {
    throw_errno("open", "/x");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "open /x: Permission denied");
    CHECK(error.code() == ErrorCode::internal);
  }
}

TEST_CASE("the reason defaults to the code's name, and only passing troubles are retryable") {
  CHECK(Error(ErrorCode::not_found, "no").reason() == "not_found");
  CHECK_FALSE(Error(ErrorCode::not_found, "no").retryable());
  CHECK(Error(ErrorCode::unavailable, "wait").retryable());
  CHECK(code_of_errno(ENOSPC) == ErrorCode::exhausted);
  CHECK(code_of_errno(EDQUOT) == ErrorCode::exhausted);
}

}  // namespace cellar
