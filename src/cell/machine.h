#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "async/pool.h"
#include "async/serial.h"
#include "cell/output_room.h"
#include "image/store.h"
#include "sandbox/cgroup.h"
#include "sandbox/rights.h"
#include "sandbox/runtime.h"
#include "sys/disk_limit.h"

namespace cellar::llm {
class Models;
}
namespace cellar::net {
class Policy;
class Resolver;
class TlsClient;
}  // namespace cellar::net

namespace cellar::cell {

namespace asio = boost::asio;

class Capacity;
class ProcessWalk;
class Spawner;
class WarmAgents;
struct Measures;

// What this machine and this daemon's rights on it give to cells, and what not.
struct Isolation {
  struct Lack {
    std::string id;  // of `cellar doctor`
    std::string means;
  };
  sandbox::Rights rights = sandbox::Rights::root;
  bool is_full = true;  // of what the software can give nothing is missing
  std::vector<Lack> missing;
};

// What all cells of a daemon share.
struct Machine {
  asio::any_io_executor executor;
  async::Pool& pool;
  std::shared_ptr<async::Pool> journal_writers;  // threads that do nothing else
  async::Pool& pipes;                            // as well: each cell has a lane of them
  async::Serial& paging;                         // the memory of one cell is moved at a time
  ProcessWalk& processes;                        // for cells without cgroups
  Spawner& spawner;
  WarmAgents& warm_agents;
  sandbox::CgroupHost cgroup_host;
  std::string daemon_group;
  image::Store images;
  Capacity& capacity;
  Measures& measures;
  net::Resolver& resolver;                                       // of names that cells may reach
  net::TlsClient& tls;                                           // to hosts of secrets and rules
  llm::Models& models;                                           // that agents may ask
  const net::Policy& forwards;                                   // where rules may send requests
  sandbox::Runtime runtime_floor = sandbox::Runtime::native;     // weaker cells do not run
  sys::DiskEnforcer disk_enforcer = sys::DiskEnforcer::counted;  // of new cells' folders
  Isolation isolation;
  std::size_t fresh_cells = 0;  // how many are there before anybody creates them
  std::string agent_host_dir;   // the agent host's files, bound into agent domains
  // Of what commands of all cells hold.
  std::shared_ptr<OutputRoom> outputs = std::make_shared<OutputRoom>(OutputRoom::kAllBytesMax);
  std::string name_server;  // that proves whose a domain is (sys/dns_records.h)
};

}  // namespace cellar::cell
