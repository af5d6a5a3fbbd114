#include "certificates/order.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/file.h"

namespace cellar::certificates {
namespace {

constexpr int kFailuresMax = 1000;

std::string record_file(const std::string& folder) { return folder + "/acme.json"; }

}  // namespace

WallTime due_at(const Order& order, const std::optional<net::TlsIdentity>& identity,
                const OrderTimes& times) {
  std::chrono::seconds pause = times.first_pause;
  for (int i = 1; i < order.failures && pause < times.pause_max; ++i) pause *= 2;
  WallTime due = order.attempted_at;
  // One that is lost is got at once.
  if (order.failures > 0 || identity) due += std::min(pause, times.pause_max);
  if (!identity) return due;
  const auto lifetime = identity->expires_at() - identity->valid_from();
  return std::max(due, identity->expires_at() - lifetime / 3);
}

std::optional<Order> read_order(const std::string& folder) {
  const auto text = sys::read_file(record_file(folder));
  if (!text) return std::nullopt;
  const json::Value value = json::parse(*text);
  const json::Reader record(value, record_file(folder));
  Order order;
  order.failures = static_cast<int>(record.required_int("failures", 0, kFailuresMax));
  order.attempted_at = from_unix_ms(record.required_int("attempted_at_ms", 0, INT64_MAX));
  order.problem = record.optional_string("problem").value_or("");
  return order;
}

void write_order(const std::string& folder, const Order& order) {
  const json::Value record = json::object({{"failures", std::min(order.failures, kFailuresMax)},
                                           {"attempted_at_ms", to_unix_ms(order.attempted_at)},
                                           {"problem", order.problem}});
  const std::filesystem::path path(folder);
  const bool is_new = !sys::exists(folder);
  sys::make_dirs(folder);
  sys::replace_file(record_file(folder), json::dump(record));
  if (!is_new) return;
  sys::sync_dir(path.parent_path().string());
  sys::sync_dir(path.parent_path().parent_path().string());
}

void remove_order(const std::string& folder) {
  sys::remove_file(issued_file(folder));
  sys::remove_file(record_file(folder));
  std::error_code ignored;  // A folder with an operator's files in it stays.
  std::filesystem::remove(folder, ignored);
}

std::string issued_file(const std::string& folder) { return folder + "/acme.pem"; }

}  // namespace cellar::certificates
