#include "cell/lost_by.h"

namespace cellar::cell {
namespace {

constexpr LostBy kAllLostBy[] = {LostBy::domain, LostBy::daemon, LostBy::hibernated,
                                 LostBy::max_awake, LostBy::deleted};

}  // namespace

std::string_view name_of(LostBy why) noexcept {
  switch (why) {
    case LostBy::domain:
      return "domain_ended";
    case LostBy::daemon:
      return "daemon_ended";
    case LostBy::hibernated:
      return "hibernated";
    case LostBy::max_awake:
      return "max_awake";
    case LostBy::deleted:
      return "deleted";
  }
  return "domain_ended";
}

LostBy parse_lost_by(std::string_view name) noexcept {
  for (const LostBy why : kAllLostBy) {
    if (name == name_of(why)) return why;
  }
  return LostBy::daemon;
}

}  // namespace cellar::cell
