#include "cell/warm_agents.h"

#include <doctest/doctest.h>

#include "cell/domain_record.h"
#include "cell/spec.h"

using namespace cellar;
using namespace cellar::cell;

TEST_CASE("no two warm agents have one range of ids, and none has one of a cell's") {
  WarmRanges ranges(WarmRanges::kCount - 2);
  std::set<std::uint32_t> given;
  const std::uint32_t first = ranges.take().value();
  given.insert(first);
  CHECK(first == WarmRanges::kBase + (WarmRanges::kCount - 2) * kUidRange);
  ranges.hold(WarmRanges::kBase);  // An earlier daemon's.
  for (std::uint32_t i = 2; i < WarmRanges::kCount; ++i) given.insert(ranges.take().value());
  CHECK(given.size() == WarmRanges::kCount - 1);
  CHECK_FALSE(given.contains(WarmRanges::kBase));
  CHECK(*given.rbegin() + kUidRange <= kUidBase);
  CHECK_FALSE(ranges.take());
  ranges.release(first);
  CHECK(ranges.take() == first);
}

TEST_CASE("a domain's record tells a range that is not the cell's own") {
  const DomainRecord warm{{7, 12345}, WarmRanges::kBase};
  CHECK(decode_domain_record(encode(warm, "1:2"), "1:2") == warm);
  const DomainRecord usual{{7, 12345}, 0};
  CHECK(encode(usual, "1:2").find("uid_base") == std::string::npos);
  CHECK(decode_domain_record(encode(usual, "1:2"), "1:2") == usual);
  CHECK_FALSE(decode_domain_record(encode(warm, "1:2").substr(0, 20), "1:2"));
  CHECK_FALSE(decode_domain_record(std::nullopt, "1:2"));
  CHECK_FALSE(decode_domain_record(encode(warm, "1:2"), "1:3"));  // Copied from there.
  const std::string old = encode(warm, "1:2");
  const std::string without_folder = std::string(old).erase(old.find(",\"folder\":\"1:2\""), 15);
  CHECK(decode_domain_record(without_folder, "1:3") == warm);
}

TEST_CASE("an agent host that was started already is not for whom Node.js must be told something") {
  AgentProcess::Options options;
  CHECK(AgentProcess::may_be_warm(options));
  options.secrets = {{"API_KEY", "k"}, {"TZ", "Europe/Oslo"}, {"MY_NODE_OPTIONS", "x"}};
  CHECK(AgentProcess::may_be_warm(options));
  for (const char* name : {"NODE_OPTIONS", "UV_THREADPOOL_SIZE", "LD_PRELOAD", "SSL_CERT_FILE",
                           "OPENSSL_CONF", "LANG", "LC_ALL"}) {
    CAPTURE(name);
    AgentProcess::Options other = options;
    other.secrets[name] = "x";
    CHECK_FALSE(AgentProcess::may_be_warm(other));
  }
  options.language = AgentLanguage::python;
  CHECK_FALSE(AgentProcess::may_be_warm(options));
}
