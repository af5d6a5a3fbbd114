#include "cell/domain_record.h"

#include "base/error.h"
#include "cell/layout.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/folder_identity.h"

namespace cellar::cell {

std::string encode(const DomainRecord& record, const std::string& folder) {
  json::Object object;
  object.set("pid", record.init.pid);
  object.set("start_time", record.init.start_time);
  object.set("boot_id", sys::boot_id());
  object.set("folder", folder);
  if (record.uid_base != 0) object.set("uid_base", record.uid_base);
  return json::dump(json::Value(std::move(object)));
}

std::optional<DomainRecord> decode_domain_record(const std::optional<std::string>& text,
                                                 const std::string& folder) {
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader record(value, "a domain's record");
    if (record.required_string("boot_id") != sys::boot_id()) return std::nullopt;
    // Those of earlier versions have none.
    if (record.optional_string("folder").value_or(folder) != folder) return std::nullopt;
    const auto pid = record.required_int("pid", 1, INT32_MAX);
    const auto start = record.required_int("start_time", 0, INT64_MAX);
    const auto uid_base = record.optional_int("uid_base", 0, UINT32_MAX).value_or(0);
    return DomainRecord{{static_cast<pid_t>(pid), static_cast<std::uint64_t>(start)},
                        static_cast<std::uint32_t>(uid_base)};
  } catch (const Error&) {
    return std::nullopt;  // Cut off by a crash: the domain's group still tells what to kill.
  }
}

std::vector<sys::ProcessId> living_domains(const std::string& state_dir) {
  std::vector<sys::ProcessId> living;
  const std::string cells = state_dir + "/cells";
  for (const std::string& cell : sys::folders_in(cells)) {
    const std::string run = CellLayout{cells + "/" + cell}.run();
    for (const char* domain : {"/agent.json", "/shell.json"}) {
      const auto text = sys::read_file(run + domain);
      if (!text) continue;
      const auto record = decode_domain_record(text, sys::folder_identity(run));
      if (record && sys::identify(record->init.pid) == record->init) {
        living.push_back(record->init);
      }
    }
  }
  return living;
}

}  // namespace cellar::cell
