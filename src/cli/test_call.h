#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "cli/fake_daemon.h"
#include "cli/run.h"
#include "json/json.h"
#include "sys/file.h"

// For tests only.
namespace cellar::cli {

inline sys::Fd file_in_memory() { return sys::Fd(::memfd_create("test", MFD_CLOEXEC)); }

inline std::string content_of(const sys::Fd& file) {
  ::lseek(file.get(), 0, SEEK_SET);
  return sys::read_all(file.get(), 64 << 20, "test");
}

// One call of the program against a fake daemon.
struct Result {
  int exit_code = -1;
  std::string out;
  std::string err;
};

inline Result call(const std::string& url, std::vector<std::string> words,
                   const std::string& in = {}) {
  const sys::Fd in_fd = file_in_memory();
  const sys::Fd out_fd = file_in_memory();
  const sys::Fd err_fd = file_in_memory();
  sys::write_all(in_fd.get(), in, "in");
  ::lseek(in_fd.get(), 0, SEEK_SET);
  words.insert(words.begin(), {"cellar", "--url", url, "--api-key", "secret"});
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  const Streams streams{in_fd.get(), out_fd.get(), err_fd.get()};
  Result result;
  result.exit_code = run(static_cast<int>(argv.size()), argv.data(), streams);
  result.out = content_of(out_fd);
  result.err = content_of(err_fd);
  return result;
}

inline json::Value body_of(const Seen& seen) { return json::parse(seen.body); }

}  // namespace cellar::cli
