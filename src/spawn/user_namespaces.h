#pragma once

#include <cstdint>
#include <map>

#include "sys/fd.h"

namespace cellar::spawn {

inline constexpr std::uint32_t kIdsPerDomain = 65536;

// A user namespace for each range of ids that was asked for, and for those that will be next: new
// cells get their ranges in order, and making a namespace costs a process.
class UserNamespaces {
 public:
  static constexpr std::size_t kKeptMax = 256;

  // The one whose root is the host's `uid_base`; stays open until the next call. Throws Error.
  int get(std::uint32_t uid_base);
  // Makes one that will be asked for, and says so; false where `ahead` of them are there. Throws
  // Error.
  bool make_ahead(std::size_t ahead);

 private:
  int add(std::uint32_t uid_base);

  std::map<std::uint32_t, sys::Fd> known_;
  std::uint32_t newest_ = 0;  // the highest that was asked for
};

}  // namespace cellar::spawn
