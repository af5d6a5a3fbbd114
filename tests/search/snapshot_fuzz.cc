// Searches for snapshots that pass their checks and that an index cannot be used with; fuzz.cc says
// how it is run. The input is what changes in the snapshot of a small index: three bytes each, a
// place and a number to add; or, beginning with an odd byte, a snapshot of its own.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "search/index.h"
#include "search/snapshot.h"

using namespace cellar::search;

namespace {

std::string small_snapshot() {
  Index index;
  const std::string code =
      "// Signs users in.\nclass UserSession {\n  bool login(Password word);\n};\n";
  for (const char* path : {"old.cc", "src/session.cc"}) {
    index.put({.path = path, .size_bytes = code.size()}, code + path);
  }
  index.put_document("notes", "how to deploy the frontend\n");
  index.put_skipped({.path = "large.bin", .size_bytes = 2'000'000}, Admission::too_large);
  index.remove("old.cc");
  return index.snapshot();
}

std::string snapshot_of(const std::uint8_t* data, std::size_t size) {
  static const std::string small = small_snapshot();
  if (size > 0 && data[0] % 2 == 1) return {reinterpret_cast<const char*>(data) + 1, size - 1};
  std::string bytes = small;
  for (std::size_t at = 1; at + 3 <= size; at += 3) {
    char& byte = bytes[(data[at] * 256U + data[at + 1]) % bytes.size()];
    byte = static_cast<char>(byte + data[at + 2]);
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes = snapshot_of(data, size);
  snapshot::sign(bytes);
  try {
    Index index = Index::from_snapshot(bytes);
    for (const Mode mode : {Mode::automatic, Mode::semantic, Mode::lexical, Mode::regex}) {
      for (const Hit& hit : index.query("UserSession login", {.mode = mode})) {
        CELLAR_CHECK(hit.start_line >= 1 && hit.end_line >= hit.start_line);
      }
    }
    for (const SymbolHit& hit : index.symbols("user")) CELLAR_CHECK(hit.line >= 1);
    index.put({.path = "src/session.cc"}, "bool login() { return true; }\n");
    index.put_document("more", "users sign in\n");
    index.query("sign in");
    index.remove("src/session.cc");
    const std::string again = index.snapshot();
    CELLAR_CHECK(Index::from_snapshot(again).stats().chunk_count == index.stats().chunk_count);
  } catch (const cellar::Error& error) {
    CELLAR_CHECK(error.code() == cellar::ErrorCode::corrupt);
  }
  return 0;
}
