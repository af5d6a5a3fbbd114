#include "cell/slots.h"

#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "cell/cgroups.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::cell {
namespace {

std::string path_of(const CellLayout& layout) { return layout.run() + "/slot.json"; }

// In every hierarchy, as a crash may have come between them.
std::set<std::string> slots_of(const sandbox::CgroupHost& host, const std::string& daemon_group) {
  std::set<std::string> slots;
  const auto add = [&](const std::string& mount) {
    for (std::string& name : sys::folders_in(mount + "/" + daemon_group)) {
      slots.insert(std::move(name));
    }
  };
  add(host.unified);
  for (const auto& [controller, mount] : host.legacy) add(mount);
  return slots;
}

}  // namespace

std::string daemon_group_of(const std::string& state_dir) {
  return "cellar-" + sha256_hex(state_dir).substr(0, 8);
}

std::string read_slot(const CellLayout& layout) {
  const auto text = sys::read_file(path_of(layout));
  if (!text) return {};
  try {
    const json::Value value = json::parse(*text);
    const json::Reader record(value, "a slot's record");
    if (record.required_string("boot_id") != sys::boot_id()) return {};
    return record.required_string("slot");
  } catch (const Error&) {
    return {};  // Cut off: its groups are removed with other lost ones.
  }
}

void write_slot(const CellLayout& layout, const std::string& slot) {
  const json::Value record = json::object({{"slot", slot}, {"boot_id", sys::boot_id()}});
  sys::replace_file(path_of(layout), json::dump(record), 0600, sys::Durable::no);
}

void forget_slot(const CellLayout& layout) { sys::remove_file(path_of(layout)); }

asio::awaitable<void> remove_lost_slots(sandbox::CgroupHost host, std::string daemon_group,
                                        std::string cells_dir, std::string run) {
  if (host.unified.empty()) co_return;
  std::set<std::string> lost = slots_of(host, daemon_group);
  std::erase_if(lost, [&run](const std::string& slot) { return slot.starts_with(run); });
  if (lost.empty()) co_return;
  for (const std::string& cell : sys::folders_in(cells_dir)) {
    lost.erase(read_slot(CellLayout{cells_dir + "/" + cell}));
  }
  for (const std::string& slot : lost) {
    try {
      co_await remove(sandbox::plan_cgroups(host, daemon_group, slot));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::warning("cgroups of an earlier daemon, {}, stay: {}", slot, error.what());
    }
  }
}

}  // namespace cellar::cell
