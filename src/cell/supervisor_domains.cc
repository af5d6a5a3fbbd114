// The domains of customers, as the supervisor keeps them.

#include <algorithm>

#include "async/run_to_end.h"
#include "base/error.h"
#include "base/random.h"
#include "cell/supervisor.h"
#include "sys/dns_records.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kDomainsOfOwnerMax = 1000;
constexpr std::size_t kChallengeBytes = 16;

Error no_domain(const std::string& domain) {
  return Error(ErrorCode::not_found, "domain_not_found", "no domain \"" + domain + "\"",
               "list the domains with GET /api/v1/domains, or add it");
}

}  // namespace

const CustomDomain* Supervisor::find_domain(std::string_view domain) const {
  const auto found = domains_.find(domain);
  return found == domains_.end() ? nullptr : &found->second;
}

CustomDomain Supervisor::get_domain(std::string_view owner_id, const std::string& domain) const {
  const CustomDomain* found = find_domain(domain);
  if (found == nullptr || found->owner_id != owner_id) throw no_domain(domain);
  return *found;
}

std::vector<CustomDomain> Supervisor::domains_of(std::string_view owner_id) const {
  std::vector<CustomDomain> list;
  for (const auto& [name, domain] : domains_) {
    if (domain.owner_id == owner_id) list.push_back(domain);
  }
  return list;
}

asio::awaitable<CustomDomain> Supervisor::add_domain(std::string owner_id, std::string domain,
                                                     std::string cell_id) {
  get(owner_id, cell_id);
  if (find_domain(domain) != nullptr) {
    throw Error(ErrorCode::conflict, "domain_taken", "the domain " + domain + " is added already",
                "reassign it with PATCH, or let whoever has it delete it");
  }
  if (domains_of(owner_id).size() >= kDomainsOfOwnerMax) {
    throw Error(ErrorCode::exhausted, "too_many_domains",
                "there are " + std::to_string(kDomainsOfOwnerMax) + " domains, which is the limit",
                "delete one that nobody needs");
  }
  CustomDomain row{.domain = domain,
                   .owner_id = owner_id,
                   .cell_id = cell_id,
                   .challenge = random_hex(kChallengeBytes),
                   .is_verified = false,
                   .created_at = wall_now()};
  domains_[domain] = row;  // At once: a second add meanwhile is refused.
  co_await async::run_to_end(changes_, store_domain(row));
  co_return row;
}

asio::awaitable<CustomDomain> Supervisor::reassign_domain(std::string owner_id, std::string domain,
                                                          std::string cell_id) {
  get(owner_id, cell_id);
  CustomDomain row = get_domain(owner_id, domain);
  row.cell_id = cell_id;
  co_await async::run_to_end(changes_, store_domain(row));
  co_return row;
}

asio::awaitable<void> Supervisor::remove_domain(std::string owner_id, std::string domain) {
  get_domain(owner_id, domain);
  co_await async::run_to_end(changes_, forget_domain(std::move(domain)));
}

asio::awaitable<CustomDomain> Supervisor::verify_domain(std::string owner_id, std::string domain,
                                                        std::string target) {
  const CustomDomain row = get_domain(owner_id, domain);
  const auto turn = co_await lookups_.turn();
  auto look = [row, target, server = machine_.name_server] {
    const auto texts = sys::txt_records(challenge_name(row), server);
    if (std::find(texts.begin(), texts.end(), challenge_text(row)) != texts.end()) return true;
    return !target.empty() && sys::cname_of(row.domain, server) == target;
  };
  const bool is_proven = co_await async::offload(machine_.pool, std::move(look));
  CustomDomain now = get_domain(owner_id, domain);  // It may be gone, or another one.
  if (now.challenge != row.challenge || now.cell_id != row.cell_id) throw no_domain(domain);
  if (is_proven && !now.is_verified) {
    now.is_verified = true;
    co_await async::run_to_end(changes_, store_domain(now));
  }
  now.is_verified = now.is_verified && is_proven;  // What DNS says today; it stays as it was.
  co_return now;
}

asio::awaitable<void> Supervisor::store_domain(CustomDomain row) {
  auto put = [row](store::Registry& registry) {
    registry.put_domain(row);
    return true;
  };
  try {
    co_await with_registry(std::move(put));
  } catch (...) {
    // One that was never stored is not there.
    const auto found = domains_.find(row.domain);
    if (found != domains_.end() && found->second == row) domains_.erase(found);
    throw;
  }
  domains_[row.domain] = row;
}

asio::awaitable<void> Supervisor::forget_domain(std::string domain) {
  auto remove = [domain](store::Registry& registry) { return registry.remove_domain(domain); };
  co_await with_registry(std::move(remove));
  domains_.erase(domain);
}

asio::awaitable<void> Supervisor::forget_domains_of(std::string cell_id) {
  std::vector<std::string> names;
  for (const auto& [name, row] : domains_) {
    if (row.cell_id == cell_id) names.push_back(name);
  }
  for (std::string& name : names) co_await forget_domain(std::move(name));
}

}  // namespace cellar::cell
