#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "sys/fd.h"

// The images of a state folder: root file systems that cells start from. Each is kept once, under
// the SHA-256 of what it holds, and is never changed:
//
//   images/<digest>/image.json    what it is
//   images/<digest>/root.erofs    its files, packed; or root/, where the kernel cannot mount a file
//   images/<digest>/mount/        an empty folder, to mount it at
//   images/names/<name>           a link to ../<digest>
namespace cellar::image {

// "default" is what a cell gets that asks for nothing else.
inline constexpr std::string_view kDefaultName = "default";
inline constexpr std::size_t kNameBytesMax = 64;

struct Image {
  std::string digest;  // 64 hexadecimal digits
  std::string source;  // "debian bookworm", "oci /tmp/app.tar": for people
  std::uint64_t size_bytes = 0;
  WallTime created_at;
  std::string dir;  // images/<digest>

  // The file to mount, or the folder to bind, whichever is there.
  std::string packed() const { return dir + "/root.erofs"; }
  std::string folder() const { return dir + "/root"; }
};

struct NamedImage {
  std::string name;
  Image image;
};

// Throws Error `invalid_argument`, reason `invalid_image`: letters, digits, '.', '_', '-', no
// digest and not "dev", which is the view of the host.
void check_name(std::string_view name);

// A folder in which an image is made; removed by the destructor, where it was not given to add().
// While it lives its lock is held: images/draft-….lock.
class Draft {
 public:
  Draft(std::string path, sys::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  ~Draft();
  Draft(Draft&&) noexcept = default;
  Draft& operator=(Draft&&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string root() const { return path_ + "/root"; }

 private:
  std::string path_;
  sys::Fd lock_;
};

// Blocking. Any thread.
class Store {
 public:
  explicit Store(const std::string& state_dir) : dir_(state_dir + "/images") {}

  // All names, sorted.
  std::vector<NamedImage> list() const;
  // By name or digest; nullopt where there is none. Throws Error `corrupt` where it does not read.
  std::optional<Image> find(std::string_view name) const;

  // A new folder on the same file system, to make a root in. Drafts that somebody was interrupted
  // at are removed.
  Draft make_draft();
  // Takes over `draft`, which holds root.erofs or root/, as the image `digest`, by this name from
  // now on. What is there already is kept, and the draft is removed. Durable when it returns.
  Image add(const std::string& draft, const std::string& digest, std::uint64_t size_bytes,
            std::string_view name, std::string_view source);
  // Forgets the name, and removes the image where no other name is left. False where there is no
  // such name. Throws Error `conflict`, reason `image_in_use`, where it is the last name and a cell
  // of the state folder has the image, and names the cell.
  bool remove(std::string_view name);

 private:
  void remove_stale_drafts();
  std::string name_path(std::string_view name) const;
  Image read(const std::string& digest) const;

  std::string dir_;
};

}  // namespace cellar::image
