#include "certificates/certificates.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "net/tls_authority.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::certificates {
namespace {

using std::chrono::hours;

constexpr hours kDay{24};

// Has what the log says, from here on to its end.
class Log {
 public:
  explicit Log(std::string path) : path_(std::move(path)), before_(::dup(STDERR_FILENO)) {
    const sys::Fd file = sys::open_file(path_, O_CREAT | O_WRONLY | O_APPEND);
    ::dup2(file.get(), STDERR_FILENO);
  }
  ~Log() { ::dup2(before_.get(), STDERR_FILENO); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // How many lines since the last call have `text`.
  int count(std::string_view text) {
    const std::string all = sys::read_file(path_).value_or("");
    int found = 0;
    for (std::size_t at = all.find(text, seen_); at != all.npos; at = all.find(text, at + 1)) {
      ++found;
    }
    seen_ = all.size();
    return found;
  }

 private:
  std::string path_;
  sys::Fd before_;
  std::size_t seen_ = 0;
};

// Certificates of the daemon's and of two domains, of which one is verified; they live 90 days.
struct CertificatesFixture {
  testing::TempDir root;
  net::TlsAuthority authority = net::TlsAuthority::make("ca");
  const WallTime begin = wall_now();
  WallTime now = begin;
  PairFiles base = put("base", "cells.test");
  async::Pool pool{1};
  asio::io_context loop{1};
  Certificates certificates{
      loop.get_executor(), pool,
      Certificates::Options{
          .base = base, .dir = root.file("certificates"), .now = [this] { return now; }},
      [](const std::string& domain) { return domain == "a.test"; }};

  PairFiles put(const std::string& folder, const std::string& name) {
    sys::make_dirs(root.file(folder));
    const PairFiles files{root.file(folder + "/fullchain.pem"), root.file(folder + "/privkey.pem")};
    const std::string pem = authority.make_host(name, now);
    sys::replace_file(files.chain, pem);
    sys::replace_file(files.key, pem);
    return files;
  }
  void reread() {
    asio::co_spawn(loop, certificates.reread(), [](const std::exception_ptr&) {});
    loop.restart();
    loop.run();
  }
};

}  // namespace

TEST_CASE("a certificate in use that ends is told once a day, and again when it is over") {
  CertificatesFixture fixture;
  fixture.put("certificates/a.test", "a.test");
  fixture.put("certificates/b.test", "b.test");
  Log log(fixture.root.file("log"));
  const auto told_at = [&](WallTime::duration after, std::string_view text) {
    fixture.now = fixture.begin + after;
    fixture.reread();
    return log.count(text);
  };
  CHECK(told_at(kDay * 0, ": ends at ") == 0);
  CHECK(told_at(kDay * 75, ": ends at ") == 0);
  CHECK(told_at(kDay * 77, ": ends at ") == 2);  // Nobody is shown that of b.test.
  CHECK(told_at(kDay * 77 + hours(23), ": ends at ") == 0);
  CHECK(told_at(kDay * 78, "certificate of a.test: ends at ") == 1);
  CHECK(told_at(kDay * 90 - hours(1), ": ends at ") == 2);
  CHECK(told_at(kDay * 90 + hours(1), ": is over since ") == 2);
  CHECK(told_at(kDay * 90 + hours(2), ": is over since ") == 0);
  CHECK(told_at(kDay * 91 + hours(1), "--tls-cert " + fixture.base.chain + ": is over since ") ==
        1);
  fixture.put("base", "cells.test");
  fixture.put("certificates/a.test", "a.test");
  CHECK(told_at(kDay * 91 + hours(2), ": is over since ") == 0);
  CHECK(told_at(kDay * 95, ": is over since ") == 0);
}

TEST_CASE("a clock that was ahead once keeps no end from being told") {
  CertificatesFixture fixture;
  const auto ahead = fixture.begin + kDay * 89;
  const auto identity = fixture.certificates.identities().base();
  ToldEnding told;
  CHECK(told.next(identity, ahead) == Ending::near);
  CHECK(told.next(identity, fixture.begin + kDay * 80) == Ending::near);
  CHECK(told.next(identity, fixture.begin + kDay * 80 + hours(1)) == Ending::far);
}

TEST_CASE("what lives for some days is near its end for a fifth of them, others for two weeks") {
  CHECK(near_for(kDay * 5) == kDay);
  CHECK(near_for(kDay * 90) == kDay * 14);
}

TEST_CASE("ends are those of what clients are shown, the first of all domains'") {
  CertificatesFixture fixture;
  const auto end_of_base = fixture.certificates.identities().base().expires_at();
  CHECK(fixture.certificates.ends().base == end_of_base);
  fixture.put("certificates/b.test", "b.test");
  fixture.reread();
  CHECK_FALSE(fixture.certificates.ends().domains);
  fixture.now += kDay;
  fixture.put("certificates/a.test", "a.test");
  fixture.reread();
  CHECK(fixture.certificates.ends().domains == end_of_base + kDay);
}

}  // namespace cellar::certificates
