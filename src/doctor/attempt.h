#pragma once

#include <optional>
#include <string>

#include "base/error.h"

namespace cellar::doctor {

// What kept `attempt` from doing what it does; nullopt where nothing did. For a probe an Error is
// an answer: the kernel's, which is shown.
template <typename Attempt>
std::optional<std::string> refusal_of(Attempt attempt) {
  try {
    attempt();
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace cellar::doctor
