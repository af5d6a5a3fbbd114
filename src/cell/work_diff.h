#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cell/checkpoints.h"
#include "cell/work_walk.h"

namespace cellar::cell {

// One comparison of two states of a cell's files, in small steps. Blocking; not thread-safe.
class WorkDiff {
 public:
  // Of what there is now it looks at so many: as many as a checkpoint has.
  static constexpr std::size_t kLiveFilesMax = 200'000;
  // And so many bytes of their paths, in memory.
  static constexpr std::size_t kLiveNameBytesMax = std::size_t{64} << 20;

  // All it is given must outlive it. Throws Error `not_found`, reason `checkpoint_not_found`.
  WorkDiff(const sys::BeneathDir& work, const checkpoint::Store& store, DiffRequest request,
           std::size_t live_files_max = kLiveFilesMax);

  // False once it is done. Throws as Store::files() does.
  bool step();
  DiffAnswer take();

 private:
  void add(sys::DirEntry& entry);
  void begin_comparison();
  checkpoint::Comparison::Side kept_side(std::vector<checkpoint::File> files) const;
  checkpoint::Comparison::Side live_side();
  std::vector<checkpoint::File> wanted_of(std::vector<checkpoint::File> files) const;
  bool is_wanted(std::string_view path) const;

  const sys::BeneathDir& work_;
  const checkpoint::Store& store_;
  const DiffRequest request_;
  bool is_full() const noexcept {
    return live_.size() >= live_files_max_ || live_name_bytes_ >= kLiveNameBytesMax;
  }

  const std::size_t live_files_max_;
  std::size_t live_name_bytes_ = 0;
  DiffAnswer answer_;
  std::optional<WorkWalk> walk_;        // while what there is now is being found
  std::vector<checkpoint::File> live_;  // found
  bool is_cut_ = false;
  std::unique_ptr<checkpoint::Comparison> comparison_;
};

// The checkpoint of that id or name. Throws Error `not_found`, reason `checkpoint_not_found`.
checkpoint::Head find_checkpoint(const std::vector<checkpoint::Head>& heads,
                                 const std::string& wanted);

}  // namespace cellar::cell
