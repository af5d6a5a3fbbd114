#include "init/blank.h"

#include <unistd.h>

#include "base/error.h"
#include "sandbox/perform.h"
#include "sandbox/spawn_protocol.h"
#include "sys/seqpacket.h"

namespace cellar::init {
namespace {

struct Request {
  sandbox::BlankRequest what;
  std::vector<sys::Fd> fds;
};

Request receive(const sys::Fd& spawner) {
  auto message = sys::receive_message(spawner.get());
  if (!message) throw Error(ErrorCode::canceled, "nobody needs this blank");
  auto request = sandbox::decode_blank_request(message->bytes);
  if (!request) throw Error(ErrorCode::internal, "no such request to a blank");
  return {std::move(*request), std::move(message->fds)};
}

void prepare(const sandbox::BlankRequest& request) {
  sandbox::Performer performer(0);
  performer.perform(sandbox::plan_blank(std::get<sandbox::Prepare>(request).groups));
}

// Returns the control socket.
sys::Fd assign(Request request) {
  const auto& assigned = std::get<sandbox::Assign>(request.what);
  const auto plan = sandbox::plan_for(assigned.spec, assigned.image);
  std::size_t next = 2;
  sandbox::Sources sources;
  for (const sandbox::Step& step : plan) {
    const auto* source = std::get_if<sandbox::OpenSource>(&step);
    if (source == nullptr) continue;
    if (next >= request.fds.size()) throw Error(ErrorCode::internal, "a source is missing");
    sources[source->name] = std::move(request.fds[next++]);
  }
  sandbox::Performer performer(assigned.spec.uid_base, std::move(sources));
  performer.perform(plan);
  enter_domain(std::move(request.fds[1]));
  return std::move(request.fds[0]);
}

}  // namespace

Entered become_domain() {
  const sys::Fd spawner(kSpawnerFd);
  try {
    Entered entered;
    entered.filter = read_filter(sys::Fd(kFilterFd));
    prepare(receive(spawner).what);
    sys::send_message(spawner.get(), sandbox::kBlankDone);
    entered.listener = assign(receive(spawner));
    sys::send_message(spawner.get(), sandbox::kBlankDone);
    return entered;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::canceled) sys::send_message(spawner.get(), error.what());
    throw;
  }
}

}  // namespace cellar::init
