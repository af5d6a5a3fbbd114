#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace cellar {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unauthenticated:
      return "unauthenticated";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::too_large:
      return "too_large";
    case ErrorCode::exhausted:
      return "exhausted";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::canceled:
      return "canceled";
    case ErrorCode::timed_out:
      return "timed_out";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

Error::Error(ErrorCode code, const std::string& message)
    : std::runtime_error(message), code_(code), reason_(to_string(code)) {}

Error::Error(ErrorCode code, std::string reason, const std::string& message,
             std::string remediation)
    : std::runtime_error(message),
      code_(code),
      reason_(std::move(reason)),
      remediation_(std::move(remediation)) {}

bool Error::retryable() const noexcept {
  return code_ == ErrorCode::unavailable || code_ == ErrorCode::timed_out ||
         code_ == ErrorCode::exhausted;
}

ErrorCode code_of_errno(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return ErrorCode::not_found;
    case EEXIST:
      return ErrorCode::already_exists;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:
      return ErrorCode::invalid_argument;
    case E2BIG:
    case EFBIG:
    case EMSGSIZE:
      return ErrorCode::too_large;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::exhausted;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EBUSY:
      return ErrorCode::unavailable;
    case ECANCELED:
      return ErrorCode::canceled;
    case ETIMEDOUT:
      return ErrorCode::timed_out;
    default:
      return ErrorCode::internal;
  }
}

void throw_errno_value(int error, std::string_view call, std::string_view subject) {
  std::string message(call);
  if (!subject.empty()) message.append(" ").append(subject);
  message.append(": ").append(std::generic_category().message(error));
  if (error == EDQUOT) {
    throw Error(ErrorCode::exhausted, "disk_quota", message,
                "delete files of the cell, or give it a larger tier");
  }
  throw Error(code_of_errno(error), message);
}

void throw_errno(std::string_view call, std::string_view subject) {
  throw_errno_value(errno, call, subject);
}

}  // namespace cellar
