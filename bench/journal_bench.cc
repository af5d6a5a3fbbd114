// The journal alone, on a real folder: journal_bench FOLDER SECONDS. Prints one JSON object a line.

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "journal/file_storage.h"
#include "journal/journal.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/positioned.h"

namespace cellar {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kCells = 64;
constexpr std::size_t kStepBytes = 100;
constexpr std::uint64_t kFileBytes = 4 << 20;

double ms_since(Clock::time_point begun) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

journal::Options options() { return {.cell_id = "bench"}; }

void commit(journal::Journal& journal) {
  if (const std::uint64_t bytes = journal.has_room() ? 0 : journal.wanted_spare_bytes();
      bytes > 0) {
    journal.make_spare(bytes);
    journal.spare_made(bytes);
  }
  journal::Batch batch = journal.seal();
  journal.write(batch);
  journal.committed(std::move(batch));
}

// What each of `kCells` threads gets done in a second, together. `make` gives a thread's own work.
template <typename Make>
double per_second(double seconds, Make make) {
  std::atomic<std::uint64_t> done{0};
  const auto begun = Clock::now();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kCells; ++i) {
    threads.emplace_back([&, i] {
      auto work = make(i);
      while (ms_since(begun) < seconds * 1000) {
        work();
        ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(done) / (ms_since(begun) / 1000);
}

// The loop that nothing durable can beat: a write of a step's size, and fdatasync.
double raw_per_second(const std::string& folder, double seconds) {
  return per_second(seconds, [&](std::size_t number) {
    const std::string path = fmt::format("{}/raw-{}", folder, number);
    auto fd = std::make_shared<sys::Fd>(sys::open_file(path, O_RDWR | O_CREAT, 0600));
    sys::write_all_at(fd->get(), std::string(kFileBytes / 16, '\0'), 0, path);
    sys::sync_data(fd->get(), path);
    return [fd, path, at = std::uint64_t{0}]() mutable {
      sys::write_all_at(fd->get(), std::string(kStepBytes, 'x'), at, path);
      sys::sync_data(fd->get(), path);
      at = (at + 104) % (kFileBytes / 16 - kStepBytes);
    };
  });
}

double steps_per_second(const std::string& folder, double seconds) {
  struct Cell {
    explicit Cell(const std::string& dir)
        : storage(dir), journal(storage, options(), [](const journal::Record&) {}) {}
    journal::FileStorage storage;
    journal::Journal journal;
  };
  return per_second(seconds, [&](std::size_t number) {
    auto cell = std::make_shared<Cell>(fmt::format("{}/cell-{}", folder, number));
    return [cell] {
      cell->journal.append(1, 1, journal::StepStart{.kind = "step", .name = "s"});
      cell->journal.append(1, 1, journal::StepEnd{.ok = true, .value = {.bytes = "1"}});
      commit(cell->journal);
    };
  });
}

// A journal of so many steps with values of 1 KiB, and how long it takes to open it.
std::vector<double> scan_ms(const std::string& folder, std::size_t steps, bool is_cold) {
  const std::string dir = fmt::format("{}/scan-{}", folder, steps);
  if (!std::filesystem::exists(dir)) {
    journal::FileStorage storage(dir);
    journal::Journal journal(storage, options(), [](const journal::Record&) {});
    for (std::size_t i = 0; i < steps; ++i) {
      const journal::Payload value{.bytes = std::string(1024, 'v'), .blob = {}};
      journal.append(1, static_cast<std::uint32_t>(i + 1),
                     journal::StepEnd{.ok = true, .value = value});
      if (i % 100 == 99) commit(journal);
    }
  }
  std::vector<double> times;
  for (int round = 0; round < 7; ++round) {
    if (is_cold) {
      for (const std::string& name : sys::files_in(dir)) {
        const sys::Fd fd = sys::open_file(dir + "/" + name, O_RDONLY);
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
      }
    }
    const auto begun = Clock::now();
    journal::FileStorage storage(dir);
    const journal::Journal journal(storage, options(), [](const journal::Record&) {});
    times.push_back(ms_since(begun));
  }
  std::sort(times.begin(), times.end());
  return times;
}

void print(const char* name, double value) { std::printf("{\"%s\": %.3f}\n", name, value); }

void run(const std::string& folder, double seconds) {
  print("raw_64", raw_per_second(folder, seconds));
  print("journal_64", steps_per_second(folder, seconds));
  print("scan_10k_warm", scan_ms(folder, 10'000, false)[3]);
  print("scan_10k_cold", scan_ms(folder, 10'000, true)[3]);
  print("scan_100k_warm", scan_ms(folder, 100'000, false)[3]);
}

}  // namespace
}  // namespace cellar

int main(int argc, char** argv) {
  const auto seconds = argc == 3 ? cellar::parse_int(argv[2]) : std::nullopt;
  if (!seconds) {
    std::fprintf(stderr, "journal_bench FOLDER SECONDS\n");
    return 2;
  }
  try {
    cellar::run(argv[1], static_cast<double>(*seconds));
  } catch (const cellar::Error& error) {
    std::fprintf(stderr, "journal_bench: %s\n", error.what());
    return 1;
  }
}
