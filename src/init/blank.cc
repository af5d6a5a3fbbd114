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

// What is of the kind that it is the turn of.
template <typename What>
const What& get(const Request& request) {
  const auto* what = std::get_if<What>(&request.what);
  if (what == nullptr) throw Error(ErrorCode::internal, "a request to a blank out of turn");
  return *what;
}

void prepare(const Request& request) {
  sandbox::Performer performer(0);
  performer.perform(sandbox::plan_blank(get<sandbox::Prepare>(request).groups));
}

void assign(Request request, Entered& entered) {
  const auto& assigned = get<sandbox::Assign>(request);
  auto& fds = request.fds;
  if (fds.size() < sandbox::kFdsBeforeSources) throw Error(ErrorCode::internal, "no sockets");
  entered.connection = std::move(fds[1]);
  entered.listener = std::move(fds[2]);
  const std::string folder = "/proc/self/fd/" + std::to_string(fds[3].get());
  sys::seqpacket_listen(entered.listener.get(), folder + "/" + assigned.socket_name);
  fds[3].reset();
  const auto plan = sandbox::plan_for(assigned.spec, assigned.image);
  std::size_t next = sandbox::kFdsBeforeSources;
  sandbox::Sources sources;
  for (const sandbox::Step& step : plan) {
    const auto* source = std::get_if<sandbox::OpenSource>(&step);
    if (source == nullptr) continue;
    if (next >= fds.size()) throw Error(ErrorCode::internal, "a source is missing");
    sources[source->name] = std::move(fds[next++]);
  }
  sandbox::Performer performer(assigned.spec.uid_base, std::move(sources));
  performer.perform(plan);
  enter_domain(std::move(fds[0]));
}

}  // namespace

Entered become_domain() {
  const sys::Fd spawner(kSpawnerFd);
  try {
    Entered entered;
    entered.filter = read_filter(sys::Fd(kFilterFd));
    prepare(receive(spawner));
    sys::send_message(spawner.get(), sandbox::kBlankDone);
    assign(receive(spawner), entered);
    sys::send_message(spawner.get(), sandbox::kBlankDone);
    return entered;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::canceled) sys::send_message(spawner.get(), error.what());
    throw;
  }
}

}  // namespace cellar::init
