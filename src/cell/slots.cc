#include "cell/slots.h"

#include <optional>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "cell/cgroups.h"
#include "json/json.h"
#include "json/reader.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/folder_identity.h"
#include "sys/process.h"

namespace cellar::cell {
namespace {

std::string path_of(const CellLayout& layout) { return layout.run() + "/slot.json"; }

struct SlotRecord {
  std::string slot;
  bool is_own = true;  // it was written in this folder
};

std::optional<SlotRecord> read_record(const CellLayout& layout) {
  const auto text = sys::read_file(path_of(layout));
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader record(value, "a slot's record");
    if (record.required_string("boot_id") != sys::boot_id()) return std::nullopt;
    const auto folder = record.optional_string("folder");  // Earlier versions wrote none.
    return SlotRecord{record.required_string("slot"),
                      !folder || *folder == sys::folder_identity(layout.run())};
  } catch (const Error&) {
    return std::nullopt;  // Cut off: its groups are removed with other lost ones.
  }
}

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
  const auto record = read_record(layout);
  return record && record->is_own ? record->slot : std::string();
}

bool is_copy_of_running(const CellLayout& layout) {
  const auto record = read_record(layout);
  return record && !record->is_own;
}

void write_slot(const CellLayout& layout, const std::string& slot) {
  const json::Value record = json::object({{"slot", slot},
                                           {"boot_id", sys::boot_id()},
                                           {"folder", sys::folder_identity(layout.run())}});
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
  for (const std::string& slot : lost) {  // All die at once, before the first is waited for.
    try {
      sandbox::kill_group(sandbox::plan_cgroups(host, daemon_group, slot).cell);
    } catch (const Error& error) {  // It is being removed by the spawner that made it.
      log::debug("cgroup of an earlier daemon, {}: {}", slot, error.what());
    }
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
