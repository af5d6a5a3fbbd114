#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "journal/journal.h"
#include "journal/sim_storage.h"

// What is done to a journal on a simulated disk, made up from a seed, and what must be there
// afterwards.
namespace cellar::crash {

using Random = std::mt19937_64;

// 0, 1, …, `count` - 1.
inline std::size_t pick(Random& random, std::size_t count) { return random() % count; }

struct Value {
  std::string bytes;
  bool in_blob = false;  // outside the records, as values above 64 KiB are
};

struct Program {
  journal::Options options;
  std::size_t sector_bytes = 512;
  bool makes_spares = false;
  bool trims = false;  // behind every third batch, a half of what is there
  std::vector<std::vector<Value>> batches;
};
Program make_program(Random& random);

// A broken promise: what was expected and what was found.
struct Broken {
  std::string what;
};

// The records of a journal as they must come back.
class Expected {
 public:
  // `what` names the journal in messages.
  explicit Expected(const Program& program);

  // Opens the journal on `disk`, reads every record and every blob, and gives how many had been
  // appended. Throws Broken where a record is another than was appended, where fewer than
  // `acknowledged` are there, but for what was trimmed, or a part of a batch, or a blob that no
  // record names. Exceptions of the journal reach the caller unchanged. The blob `damaged_blob`,
  // where one is named, must be refused, and nothing else.
  std::size_t read(journal::SimStorage& disk, std::size_t acknowledged,
                   std::string_view damaged_blob = {}) const;

  // From now on only the first `count` are expected, and then `value`, in a batch of its own.
  void cut(std::size_t count);
  void add(const std::string& value);

  const std::vector<std::string>& bodies() const noexcept { return bodies_; }
  // How many records there may be: the ends of batches.
  const std::vector<std::size_t>& ends() const noexcept { return ends_; }

 private:
  void check_blobs(const journal::SimStorage& disk, const journal::Journal& journal,
                   std::string_view damaged) const;

  journal::Options options_;
  std::vector<std::string> bodies_;
  std::vector<std::size_t> ends_;
};

// Appends the program's batches until the disk fails; the number of records that were acknowledged.
// `appended` is told of each batch. Throws Broken where the journal says that it is damaged.
using OnBatch = std::function<void(const std::vector<std::string>& bodies)>;
std::size_t run(const Program& program, journal::SimStorage& disk, const OnBatch& appended = {});

// Opens the journal and appends one value in a batch of its own. Throws Error.
void append_one(const Program& program, journal::SimStorage& disk, const std::string& value);

}  // namespace cellar::crash
