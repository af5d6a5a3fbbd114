#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cellar {

// What went wrong, seen from the caller's side: each code calls for a different reaction. The HTTP
// status, the CLI's exit code and the SDKs' exception class are all chosen by this code alone.
enum class ErrorCode : std::uint8_t {
  invalid_argument,  // The request can never succeed as written.
  unauthenticated,   // No key, or a wrong one.
  not_found,
  already_exists,
  conflict,     // The thing changed under the caller: read again, then retry.
  too_large,    // A body, a name or a list above its limit.
  exhausted,    // A quota or a machine limit; retrying helps only after something is freed.
  unavailable,  // Try again later, the same request may succeed.
  canceled,     // The caller went away or the daemon is stopping.
  timed_out,    // A wait with a limit ended.
  corrupt,      // Stored bytes fail their checks. Never retried, always logged.
  internal,     // Everything else: an unexpected errno, a broken promise of ours.
};

// "invalid_argument", "not_found", …: the default value of an error body's `code`.
std::string_view to_string(ErrorCode code) noexcept;

// The only exception type. `reason` is the stable machine-readable word of the API
// ("cell_not_found"); it defaults to the code's name. `remediation` says what the caller can do,
// and may be empty.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message);
  Error(ErrorCode code, std::string reason, const std::string& message,
        std::string remediation = {});

  ErrorCode code() const noexcept { return code_; }
  const std::string& reason() const noexcept { return reason_; }
  const std::string& remediation() const noexcept { return remediation_; }
  // Whether the same request may succeed later without any change.
  bool retryable() const noexcept;

 private:
  ErrorCode code_;
  std::string reason_;
  std::string remediation_;
};

// The code that stands for an errno: ENOENT is `not_found`, EMFILE and ENOSPC are `exhausted`, ….
ErrorCode code_of_errno(int error) noexcept;

// Throws the Error for the current errno: "open /var/lib/cell/x: Permission denied".
[[noreturn]] void throw_errno(std::string_view call, std::string_view subject = {});
// The same for a given errno.
[[noreturn]] void throw_errno_value(int error, std::string_view call,
                                    std::string_view subject = {});

}  // namespace cellar
