#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cell/checkpoints.h"
#include "cell/work_walk.h"

namespace cellar::cell {

// One comparison of two states of a cell's files, in small steps. What ends it before it has looked
// at both, its time or patterns of .gitignore that are too slow, leaves no change to tell; where
// there are more files now than it looks at, none is told as deleted that is there. Blocking; not
// thread-safe.
class WorkDiff {
 public:
  struct Limits {
    // Of what there is now it looks at so many: as many as a checkpoint has.
    std::size_t live_files_max = 200'000;
    // And so many bytes of their paths, in memory.
    std::size_t live_name_bytes_max = std::size_t{64} << 20;
    search::IgnoreRules::Limits patterns;  // of .gitignore
  };

  // All it is given must outlive it. Its time begins. Throws Error `not_found`, reason
  // `checkpoint_not_found`.
  WorkDiff(const sys::BeneathDir& work, const checkpoint::Store& store, DiffRequest request)
      : WorkDiff(work, store, std::move(request), Limits()) {}
  WorkDiff(const sys::BeneathDir& work, const checkpoint::Store& store, DiffRequest request,
           const Limits& limits);

  // False once it is done. Throws as Store::files() does.
  bool step();
  DiffAnswer take();

 private:
  using Clock = std::chrono::steady_clock;
  using Files = std::vector<checkpoint::File>;
  // Those of a checkpoint's files that are looked at, while they are being found.
  struct Choice {
    Files files;
    LeftOut left_out;
    std::size_t next = 0;
    std::size_t kept_count = 0;  // before `next`
    std::string skipped = "/";   // the folder that is left out, of no path
  };

  void add(sys::DirEntry& entry);
  void walk_on();
  void begin_choice(const checkpoint::Head& head);
  void choose();
  bool is_wanted(Choice& choice, const checkpoint::File& file) const;
  bool is_below_start(std::string_view path) const;
  void begin_comparison();
  void stop(const char* why);
  checkpoint::Comparison::Side kept_side(Files files) const;
  checkpoint::Comparison::Side live_side();
  bool is_there(const std::string& path) const;
  bool is_full() const noexcept {
    return live_.size() >= limits_.live_files_max ||
           live_name_bytes_ >= limits_.live_name_bytes_max;
  }

  const sys::BeneathDir& work_;
  const checkpoint::Store& store_;
  const DiffRequest request_;
  const Limits limits_;
  const Clock::time_point end_;
  std::size_t live_name_bytes_ = 0;
  DiffAnswer answer_;
  std::optional<WorkWalk> walk_;  // while what there is now is being found
  Files live_;                    // found
  bool is_cut_ = false;
  std::optional<Choice> choice_;
  std::optional<Files> before_;
  std::optional<Files> after_;  // of a checkpoint
  std::string stopped_by_;
  std::unique_ptr<checkpoint::Comparison> comparison_;
};

// The checkpoint of that id or name. Throws Error `not_found`, reason `checkpoint_not_found`.
checkpoint::Head find_checkpoint(const std::vector<checkpoint::Head>& heads,
                                 const std::string& wanted);

}  // namespace cellar::cell
