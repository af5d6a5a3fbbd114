#include "net/refusal.h"

#include <doctest/doctest.h>

namespace cellar::net {

TEST_CASE("a refused request is answered with what to add to the allow-list") {
  const Refusal refusal{"example.com", 80, Why::not_listed};
  const std::string response = refusal_response(refusal);
  const std::string body =
      "This cell may not reach example.com: it is not on the cell's allow-list.\n"
      "To allow it, add \"example.com\" to the cell's \"allow\" list: cellar network ID "
      "allow example.com.\n";
  CHECK(response.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(response.find("Content-Length: " + std::to_string(body.size())) != std::string::npos);
  CHECK(response.ends_with("\r\n\r\n" + body));
}

TEST_CASE("the same refusal is told once in ten seconds") {
  using std::chrono::milliseconds;
  RefusalFilter filter;
  const RefusalFilter::Time start;
  const Refusal refusal{"example.com", 53, Why::not_listed};
  CHECK(filter.admits(refusal, start));
  CHECK_FALSE(filter.admits(refusal, start + milliseconds(9'999)));
  CHECK(filter.admits({"example.com", 80, Why::not_listed}, start));
  CHECK(filter.admits({"other.com", 53, Why::not_listed}, start));
  CHECK(filter.admits(refusal, start + milliseconds(10'000)));
  CHECK_FALSE(filter.admits(refusal, start + milliseconds(10'001)));
}

TEST_CASE("a cell that makes up names is told of 256 times in ten seconds") {
  RefusalFilter filter;
  const RefusalFilter::Time start;
  std::size_t told = 0;
  for (int i = 0; i < 1000; ++i) {
    told += filter.admits({"n" + std::to_string(i), 53, Why::not_listed}, start) ? 1 : 0;
  }
  CHECK(told == RefusalFilter::kToldMax);
  CHECK(filter.admits({"late", 53, Why::not_listed}, start + RefusalFilter::kPause));
}

}  // namespace cellar::net
