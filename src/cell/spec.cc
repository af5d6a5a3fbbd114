#include "cell/spec.h"

#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::cell {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::int64_t kVersion = 1;

}  // namespace

const std::vector<Tier>& tiers() {
  static const std::vector<Tier> kTiers = {
      {"starter",
       "Starter",
       "1 vCPU, 1 GB",
       "10 GB",
       {1 * kGiB, 512, 1000, kGiB / 4, 10 * kGiB, 1'000'000, 100}},
      {"standard",
       "Standard",
       "2 vCPU, 4 GB",
       "25 GB",
       {4 * kGiB, 1024, 2000, 1 * kGiB, 25 * kGiB, 2'500'000, 200}},
      {"performance",
       "Performance",
       "4 vCPU, 8 GB",
       "50 GB",
       {8 * kGiB, 2048, 4000, 2 * kGiB, 50 * kGiB, 5'000'000, 400}},
  };
  return kTiers;
}

const Tier& tier_of(std::string_view id) {
  for (const Tier& tier : tiers()) {
    if (tier.id == id) return tier;
  }
  throw Error(
      ErrorCode::invalid_argument, "invalid_tier",
      "\"tier\" must be starter, standard or performance, it is \"" + std::string(id) + "\"");
}

sandbox::Runtime parse_runtime(std::string_view name) {
  if (const auto runtime = sandbox::runtime_of(name)) return *runtime;
  throw Error(ErrorCode::invalid_argument, "invalid_runtime",
              "\"runtime\" must be native or gvisor, it is \"" + std::string(name) + "\"");
}

std::string_view name_of(PreviewAccess access) noexcept {
  return access == PreviewAccess::everybody ? "public" : "private";
}

PreviewAccess parse_preview_access(std::string_view name) {
  if (name == "private") return PreviewAccess::only_invited;
  if (name == "public") return PreviewAccess::everybody;
  throw Error(ErrorCode::invalid_argument, "invalid_preview_access",
              "a preview's access must be private or public, it is \"" + std::string(name) + "\"");
}

std::uint32_t agent_uid_base(std::uint32_t uid_index) noexcept {
  return kUidBase + uid_index * 2 * kUidRange;
}

std::uint32_t shell_uid_base(std::uint32_t uid_index) noexcept {
  return agent_uid_base(uid_index) + kUidRange;
}

std::string encode(const CellSpec& spec) {
  json::Value record = json::object({{"version", kVersion},
                                     {"cell_id", spec.cell_id},
                                     {"owner_id", spec.owner_id},
                                     {"customer_id", spec.customer_id},
                                     {"tier", spec.tier},
                                     {"permanent", spec.permanent},
                                     {"image", spec.image},
                                     {"image_digest", spec.image_digest},
                                     {"runtime", sandbox::name_of(spec.runtime)},
                                     {"agent_digest", spec.agent_digest},
                                     {"agent_language", name_of(spec.agent_language)},
                                     {"network", to_json(spec.network)},
                                     {"llm", to_json(spec.llm)},
                                     {"idle_timeout_s", spec.idle_timeout.count()},
                                     {"max_awake_s", spec.max_awake.count()},
                                     {"run_retention_s", spec.run_retention.count()},
                                     {"uid_index", spec.uid_index},
                                     {"has_secrets", spec.has_secrets},
                                     {"file_events", spec.file_events},
                                     {"preview_access", name_of(spec.preview_access)},
                                     {"created_at_ms", to_unix_ms(spec.created_at)},
                                     {"last_active_at_ms", to_unix_ms(spec.last_active_at)}});
  if (spec.kept_alive_until) {
    record.as_object().set("kept_alive_until_ms", to_unix_ms(*spec.kept_alive_until));
  }
  if (spec.wake_at) record.as_object().set("wake_at_ms", to_unix_ms(*spec.wake_at));
  if (spec.preview_port) record.as_object().set("preview_port", *spec.preview_port);
  return json::dump(record) + "\n";
}

CellSpec decode_cell_spec(std::string_view text) {
  try {
    const json::Value value = json::parse(text);
    const json::Reader reader(value, "cell.json");
    if (reader.optional_int("version", 1, kVersion).value_or(0) != kVersion) {
      json::Reader::refuse("version", std::to_string(kVersion));
    }
    CellSpec spec;
    spec.cell_id = reader.required_string("cell_id");
    spec.owner_id = reader.required_string("owner_id");
    spec.customer_id = reader.required_string("customer_id");
    spec.tier = tier_of(reader.required_string("tier")).id;
    spec.permanent = reader.optional_bool("permanent").value_or(false);
    spec.image = reader.required_string("image");
    spec.image_digest = reader.optional_string("image_digest").value_or("");
    spec.runtime = parse_runtime(reader.optional_string("runtime").value_or("native"));
    spec.agent_digest = reader.optional_string("agent_digest").value_or("");
    spec.agent_language =
        parse_agent_language(reader.optional_string("agent_language").value_or(""));
    const json::Value* network = reader.optional_value("network");
    if (network != nullptr) spec.network = read_network(*network);
    const json::Value* llm = reader.optional_value("llm");
    if (llm != nullptr) spec.llm = read_llm(*llm);
    // Before there was more than a list of what is allowed.
    if (auto allow = reader.optional_strings("allow"))
      spec.network.policy.allow = *std::move(allow);
    spec.idle_timeout =
        std::chrono::seconds(reader.optional_int("idle_timeout_s", 1, INT32_MAX).value_or(900));
    spec.max_awake =
        std::chrono::seconds(reader.optional_int("max_awake_s", 0, INT32_MAX).value_or(0));
    if (const auto until = reader.optional_int("kept_alive_until_ms", 0, INT64_MAX)) {
      spec.kept_alive_until = from_unix_ms(*until);
    }
    if (const auto at = reader.optional_int("wake_at_ms", 0, INT64_MAX)) {
      spec.wake_at = from_unix_ms(*at);
    }
    spec.run_retention =
        std::chrono::seconds(reader.optional_int("run_retention_s", 0, INT32_MAX).value_or(0));
    const auto uid_index = reader.optional_int("uid_index", 0, kUidIndexMax);
    if (!uid_index) json::Reader::refuse("uid_index", "a whole number");
    spec.uid_index = static_cast<std::uint32_t>(*uid_index);
    spec.has_secrets = reader.optional_bool("has_secrets").value_or(false);
    spec.file_events = reader.optional_bool("file_events").value_or(false);
    spec.preview_access =
        parse_preview_access(reader.optional_string("preview_access").value_or("private"));
    if (const auto port = reader.optional_int("preview_port", 1, 65535)) {
      spec.preview_port = static_cast<std::uint16_t>(*port);
    }
    spec.created_at = from_unix_ms(reader.optional_int("created_at_ms", 0, INT64_MAX).value_or(0));
    spec.last_active_at =
        from_unix_ms(reader.optional_int("last_active_at_ms", 0, INT64_MAX).value_or(0));
    return spec;
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, "cell_record_corrupt",
                std::string("cell.json does not read: ") + error.what());
  }
}

}  // namespace cellar::cell
