#pragma once

#include <cstdint>
#include <memory>

#include "api/call.h"
#include "cell/process.h"

// What processes_api.cc and attach_api.cc share, and nobody else needs.
namespace cellar::api {

using ProcessPtr = std::shared_ptr<cell::Process>;

// The process that the path names. Throws Error `not_found`.
ProcessPtr process_in(const Call& call, const cell::Cell& cell);
// From where on its output is wanted. Throws Error `invalid_argument`.
std::uint64_t place_in(const Call& call, const cell::Process& process);

// Answers GET …/attach. In attach_api.cc.
asio::awaitable<void> attach(const Call& call);

}  // namespace cellar::api
