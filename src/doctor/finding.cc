#include "doctor/finding.h"

#include <system_error>

namespace cellar::doctor {

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warning:
      return "warning";
    case Verdict::missing:
      return "missing";
  }
  return "";
}

std::string_view to_string(Group group) noexcept {
  switch (group) {
    case Group::host:
      return "host";
    case Group::native:
      return "native";
    case Group::gvisor:
      return "gvisor";
    case Group::images:
      return "images";
    case Group::hardening:
      return "hardening";
  }
  return "";
}

std::string text_of_errno(int error) { return std::generic_category().message(error); }

}  // namespace cellar::doctor
