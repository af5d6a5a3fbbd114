#include "wire/init_protocol.h"

#include <doctest/doctest.h>

#include <random>

namespace cellar::wire {
namespace {

const InitRequest kSpawnSh = SpawnRequest{.id = 7,
                                          .argv = {"sh", "-c", "true"},
                                          .env = {"A=b"},
                                          .cwd = "/work",
                                          .has_terminal = true,
                                          .in_cgroup = true,
                                          .open_files_max = 10,
                                          .file_bytes_max = 20,
                                          .keep_count = 3};

}  // namespace

TEST_CASE("every message comes back as it was sent") {
  for (const InitRequest& request :
       {kSpawnSh, InitRequest(SignalRequest{1, 9}), InitRequest(ForgetRequest{2, 1})}) {
    CHECK(decode_init_request(encode(request)) == request);
  }
  for (const InitReport& report :
       {InitReport(InitHello{}), InitReport(Started{1, 2}), InitReport(StartFailed{1, "execve", 2}),
        InitReport(Exited{3, 256}), InitReport(Kept{4, 5, true, 256})}) {
    CHECK(decode_init_report(encode(report)) == report);
  }
}

TEST_CASE("torn, foreign and random bytes are no message") {
  const std::string whole = encode(kSpawnSh);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_init_request(whole.substr(0, size)).has_value());
  }
  CHECK_FALSE(decode_init_request(whole + "x").has_value());
  CHECK_FALSE(decode_init_request(encode(InitReport(Started{1, 2}))).has_value());
  CHECK_FALSE(decode_init_request(encode(InitRequest(SpawnRequest{}))).has_value());  // no argv
  std::mt19937 random(1);
  for (int round = 0; round < 10'000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    decode_init_request(bytes);
    decode_init_report(bytes);
  }
}

}  // namespace cellar::wire
