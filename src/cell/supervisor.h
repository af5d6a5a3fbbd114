#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/pool.h"
#include "async/serial.h"
#include "async/task_group.h"
#include "cell/cell.h"
#include "cell/custom_domain.h"
#include "cell/fresh_cells.h"
#include "cell/key_ring.h"
#include "store/registry.h"

namespace cellar::cell {

// The uid index of the deleted cell whose files are in the folder of that name in <state>/cells;
// nullopt where the name is another.
std::optional<std::uint32_t> uid_index_in_trash(std::string_view name);

// All cells of a state folder, and whose they are. Loop thread only.
class Supervisor {
 public:
  // `machine` and `sealer` must outlive it. open() comes next.
  Supervisor(const Machine& machine, CellConfig config, const Sealer& sealer,
             std::string state_dir);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // What cells are told from now on, all but `disk_max`, which they have from their opening on.
  void configure(CellConfig config) { config_ = std::move(config); }
  // Opens the registry and the cells that have processes. The others, which are hibernated, are
  // opened one after the other from then on, and where somebody asks for one (see ready()):
  // unfinished runs go on. A cell that cannot be opened is told in the log and left alone; where it
  // was for want of something (`exhausted`), it is opened when somebody asks for it next. Throws
  // Error for a registry that cannot be read.
  asio::awaitable<void> open();
  // The daemon is about to end: what it runs in cells now, the next one tells to be lost.
  void expect_end();
  // Lets go of all cells; their processes stay for the next daemon, or end (CellConfig::on_stop).
  asio::awaitable<void> close();

  // ---- keys ----
  struct CreatedKey {
    Key key;
    std::string secret;  // nowhere else from now on
  };
  // Makes a key with a new secret, which may not be used before it is durable. `scopes` are those
  // that checked_scopes() gave. Throws Error `exhausted`, reason `too_many_keys`.
  asio::awaitable<CreatedKey> create_key(std::string owner_id, std::string name, std::string scopes,
                                         std::optional<WallTime> expires_at);
  // Makes `secret` a key of the owner's that can do all and does not expire, whatever it was
  // before. Throws Error `conflict`, reason `key_taken`, where it is another owner's.
  asio::awaitable<void> add_configured_key(std::string owner_id, std::string secret);
  // Of all owners, oldest first.
  std::vector<Key> keys() const { return key_ring_.all(); }
  // What it opens no more once this has returned is durable. Throws Error `not_found`, reason
  // `key_not_found`, and `conflict`, reason `last_admin_key`.
  asio::awaitable<void> remove_key(std::string id);
  // Whose secret it is, and that it was used; until the loop goes on. nullptr for an unknown one.
  // Throws Error `unauthenticated`, reason `key_expired`.
  const Key* use_key(std::string_view secret);
  // The key of that id, used by a token of its; nullptr where it is removed or over.
  const Key* key_of_token(std::string_view id);
  // Whether this key is there and has not expired.
  bool has_key(std::string_view id) const;

  // ---- cells ----
  // Shared with requests that use a cell while it is deleted.
  using CellPtr = std::shared_ptr<Cell>;
  struct Created {
    CellPtr cell;
    bool is_new = false;
  };
  // The customer's cell, made where there was none, with these settings. Durable when it returns.
  asio::awaitable<Created> create(std::string owner_id, std::string customer_id,
                                  CellSettings settings);
  // Opens the cell, where there is one that is not open yet: comes before get() and whatever is
  // done with what find_customer() found. It stays open as long as somebody holds what this gives:
  // nullptr where there is none. Throws Error `unavailable`, reason `cell_not_opened`, where it may
  // be opened later.
  asio::awaitable<CellPtr> ready(std::string cell_id);
  // Throws Error `not_found`, reason `cell_not_found`, also for another owner's cell.
  CellPtr get(std::string_view owner_id, std::string_view cell_id) const;
  // The same of any owner, for those who have another proof than a key; nullptr where there is
  // none.
  CellPtr find(std::string_view cell_id) const;
  // nullptr where the customer has none.
  CellPtr find_customer(std::string_view owner_id, std::string_view customer_id) const;
  // Oldest first, by the millisecond, then by id. Cells that are not open yet say what they are,
  // and no more.
  std::vector<CellPtr> cells_of(std::string_view owner_id) const;
  // Ends and deletes it with all its files and domains. What takes longer than a second of the
  // files' removal follows; the cell is gone, and stays so whatever happens.
  asio::awaitable<void> remove(std::string owner_id, std::string cell_id);

  // ---- metrics ----
  // Looks at each cell and each run that is kept: some microseconds a cell.
  Census census() const;
  Measures& measures() const noexcept { return machine_.measures; }
  const llm::Models& models() const noexcept { return machine_.models; }
  Capacity& capacity() const noexcept { return machine_.capacity; }
  async::Pool& pool() const noexcept { return machine_.pool; }
  // Who works on a large document has its turn there: as values it takes some twenty times as much
  // memory as its text.
  async::Serial& large_documents() noexcept { return large_documents_; }

  // ---- domains of customers ----
  // Names have passed checked_domain(). All but the first throw Error `not_found`, reason
  // `domain_not_found` or `cell_not_found`, also for another owner's; what they change is durable
  // when they return.
  // nullptr where there is none; until the loop goes on.
  const CustomDomain* find_domain(std::string_view domain) const;
  CustomDomain get_domain(std::string_view owner_id, const std::string& domain) const;
  std::vector<CustomDomain> domains_of(std::string_view owner_id) const;
  // Throws Error `conflict`, reason `domain_taken`, whoever has it; `exhausted`.
  asio::awaitable<CustomDomain> add_domain(std::string owner_id, std::string domain,
                                           std::string cell_id);
  asio::awaitable<CustomDomain> reassign_domain(std::string owner_id, std::string domain,
                                                std::string cell_id);
  asio::awaitable<void> remove_domain(std::string owner_id, std::string domain);
  // Asks DNS for its challenge, or whether it is another name for `target` (empty: no such name):
  // `is_verified` says whether it is proven now. Once proven, it stays so. Throws as
  // sys::txt_records(), too.
  asio::awaitable<CustomDomain> verify_domain(std::string owner_id, std::string domain,
                                              std::string target);

 private:
  asio::awaitable<void> open_cell(CellPtr cell);
  static asio::awaitable<void> let_go_of(CellPtr cell);
  asio::awaitable<void> open_rest(std::vector<std::string> ids);
  void unload_unused(SteadyTime unused_before);
  asio::awaitable<void> unload(std::string cell_id);
  asio::awaitable<void> give_memory_back();
  asio::awaitable<Created> create_now(std::string owner_id, std::string customer_id,
                                      CellSettings settings);
  // A new cell of that record, but for its id and its uid index. Takes `fresh` over where it is of
  // use, which is nullopt then.
  asio::awaitable<CellPtr> make_cell(CellSpec spec, CellSettings settings,
                                     std::optional<FreshCell>& fresh);
  asio::awaitable<void> adopt(Cell& cell, std::optional<FreshCell>& fresh);
  FreshCells::Options fresh_options();
  // The event is set when the files are gone.
  asio::awaitable<std::shared_ptr<async::Event>> remove_now(std::string owner_id,
                                                            std::string cell_id);
  // Durable when it returns: gives the name of the folder in <state>/cells, for empty_trash().
  asio::awaitable<std::string> move_to_trash(const CellSpec& spec);
  asio::awaitable<void> forget_cell(const CellSpec& spec);
  asio::awaitable<void> undo(CellPtr cell);
  std::shared_ptr<async::Event> empty_trash(std::string name);
  asio::awaitable<void> empty(std::string name, std::shared_ptr<async::Event> emptied);
  void count_gone(const NetworkView& network);
  asio::awaitable<void> store_key(Key key);
  asio::awaitable<void> forget_key(std::string id);
  asio::awaitable<void> note_key_uses();
  asio::awaitable<void> keep_key_uses();
  asio::awaitable<void> store_domain(CustomDomain row);
  asio::awaitable<void> forget_domain(std::string domain);
  asio::awaitable<void> forget_domains_of(std::string cell_id);
  asio::awaitable<void> run_timers();
  asio::awaitable<void> tick(CellPtr cell);
  asio::awaitable<void> tick_now(CellPtr cell);
  asio::awaitable<void> close_each(std::deque<CellPtr>& cells);
  asio::awaitable<void> keep_room();
  asio::awaitable<void> make_room();
  CellPtr unopened(CellSpec spec) const;
  CellLayout layout_of(const std::string& cell_id) const;
  template <typename Job>
  auto with_registry(Job job) -> asio::awaitable<std::invoke_result_t<Job&, store::Registry&>>;

  const Machine& machine_;
  CellConfig config_;
  const Sealer& sealer_;
  std::string state_dir_;
  std::unique_ptr<store::Registry> registry_;
  std::map<std::string, CellPtr, std::less<>> cells_;
  KeyRing key_ring_;
  std::map<std::string, std::shared_ptr<async::Event>> openings_;   // cell id → its end
  std::map<std::string, std::shared_ptr<async::Event>> unloading_;  // the same
  std::uint64_t unloaded_bytes_ = 0;  // of their journals, since memory was given back
  std::set<std::string> ticking_;     // ids of cells that still do what a timer asked for
  async::Serial tick_turns_;
  std::map<std::string, CustomDomain, std::less<>> domains_;
  async::Serial large_documents_;
  async::Serial lookups_;  // in DNS
  async::Serial registry_turns_;
  async::Serial turns_;  // cells come and go one at a time
  async::Serial trash_turns_;
  std::shared_ptr<std::atomic<bool>> is_closing_ = std::make_shared<std::atomic<bool>>(false);
  FreshCells fresh_cells_;
  async::TaskGroup changes_;  // and all the way, whether their caller stays or not
  async::TaskGroup tasks_;
};

template <typename Job>
auto Supervisor::with_registry(Job job)
    -> asio::awaitable<std::invoke_result_t<Job&, store::Registry&>> {
  const auto turn = co_await registry_turns_.turn();
  auto work = [this, job = std::move(job)]() mutable { return job(*registry_); };
  co_return co_await async::offload(machine_.pool, std::move(work));
}

}  // namespace cellar::cell
