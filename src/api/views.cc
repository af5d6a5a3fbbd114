#include "api/views.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/clock.h"
#include "cell/waits.h"
#include "json/json.h"
#include "net/meter.h"

namespace cellar::api {
namespace {

// What `cellar doctor` examines, and the limit of a cell that there is none without.
constexpr std::pair<const char*, const char*> kLimitedBy[] = {
    {"cgroup.memory", "memory_bytes"}, {"cgroup.pids", "pids"}, {"cgroup.cpu", "cpu_millis"}};

json::Value pause_json(const cell::PauseReport& report) {
  json::Value pause = json::object({{"since", to_iso8601(cell::to_wall(report.since))}});
  if (report.paged_out_bytes) pause.as_object().set("paged_out_bytes", *report.paged_out_bytes);
  return pause;
}

json::Value limits_json(const cell::CellView& view) {
  const cell::Limits& limits = cell::tier_of(view.spec.tier).limits;
  json::Array not_enforced;  // Without cgroups `pids` holds for each user in the cell only.
  if (view.isolation.rights == sandbox::Rights::user) {
    for (const auto& [id, name] : kLimitedBy) {
      const auto is_this = [&id](const cell::Isolation::Lack& lack) { return lack.id == id; };
      const auto& missing = view.isolation.missing;
      if (std::any_of(missing.begin(), missing.end(), is_this)) not_enforced.emplace_back(name);
    }
  }
  return json::object({{"memory_bytes", limits.memory_bytes},
                       {"pids", limits.pids_max},
                       {"cpu_millis", limits.cpu_millis},
                       {"disk_bytes", view.disk_limits.bytes},
                       {"inodes", view.disk_limits.inodes},
                       {"disk_enforced_by", sys::name_of(view.disk_enforcer)},
                       {"not_enforced", std::move(not_enforced)}});
}

json::Value isolation_json(const cell::Isolation& isolation) {
  json::Array missing;
  for (const cell::Isolation::Lack& lack : isolation.missing) {
    missing.push_back(json::object({{"id", lack.id}, {"means", lack.means}}));
  }
  return json::object(
      {{"level", isolation.is_full ? "full" : "reduced"}, {"missing", std::move(missing)}});
}

json::Value idle_json(const cell::CellView& view) {
  json::Array blockers;
  for (const cell::Blocker& blocker : view.blockers) {
    blockers.push_back(json::object({{"kind", blocker.kind},
                                     {"detail", blocker.detail},
                                     {"since", to_iso8601(blocker.since)}}));
  }
  json::Value idle = json::object({{"since", to_iso8601(cell::to_wall(view.quiet_since))},
                                   {"timeout_s", view.spec.idle_timeout.count()},
                                   {"max_awake_s", view.spec.max_awake.count()},
                                   {"blockers", std::move(blockers)}});
  if (view.pauses_at) idle.as_object().set("pauses_at", to_iso8601(cell::to_wall(*view.pauses_at)));
  if (view.stops_at) idle.as_object().set("stops_at", to_iso8601(cell::to_wall(*view.stops_at)));
  return idle;
}

// It is open, and its run goes on with it: not with one that waits for somebody's decision. What it
// waits for may come in a pause, too.
bool is_under_way(const cell::Run& run, const cell::Step& step) noexcept {
  const bool is_undecided =
      run.status == cell::RunStatus::paused && step.is_interrupted() && !cell::is_wait(step.kind);
  return step.status == cell::StepStatus::open && !run.leaves(step) && !is_undecided &&
         !is_terminal(run.status);
}

std::string_view step_status(const cell::Run& run, const cell::Step& step) noexcept {
  switch (step.status) {
    case cell::StepStatus::open:
      if (!is_under_way(run, step)) return "interrupted";
      return cell::is_wait(step.kind) ? "waiting" : "running";
    case cell::StepStatus::ok:
      return "completed";
    case cell::StepStatus::error:
      return "failed";
  }
  return "failed";
}

// What it waits for: until when, an event of which type, what a person is asked.
void add_wait(json::Object& members, const cell::Step& step) {
  const json::Value args = json::parse(step.args);
  if (const json::Value* until = args.find("until"); until != nullptr && until->is_int()) {
    members.set("until", to_iso8601(from_unix_ms(until->as_int())));
  }
  for (const char* key : {"type", "match", "prompt", "data"}) {
    if (const json::Value* value = args.find(key)) members.set(key, *value);
  }
}

json::Value step_json(const cell::Run& run, const cell::Step& step) {
  json::Value value = json::object({{"ordinal", step.ordinal},
                                    {"name", step.name},
                                    {"kind", step.kind},
                                    {"status", step_status(run, step)},
                                    {"attempts", step.failed_attempts + 1},
                                    {"executed", step.executed},
                                    {"started_at", to_iso8601(step.started_at)}});
  if (step.sensitive) value.as_object().set("sensitive", "output");
  if (is_under_way(run, step) && step.retry_at > wall_now()) {
    value.as_object().set("retry_at", to_iso8601(*step.retry_at));
  }
  if (step.ended_at) value.as_object().set("ended_at", to_iso8601(*step.ended_at));
  if (!step.child.empty()) value.as_object().set("run", step.child);
  if (cell::is_wait(step.kind) && is_under_way(run, step)) {
    add_wait(value.as_object(), step);
  }
  return value;
}

// What an unfinished run waits for, why it is paused or stands still; empty where it is executed.
std::string reason_of(const cell::Run& run) {
  if (run.status == cell::RunStatus::running && !run.stands_for.empty()) return run.stands_for;
  if (run.status == cell::RunStatus::running && run.rollback != 0) return "rollback";
  const auto retries_at = run.retries_at();
  if (run.status == cell::RunStatus::running && retries_at > wall_now()) return "retry";
  if (run.status != cell::RunStatus::running || !run.is_only_waiting()) return run.reason;
  const std::string& kind = run.waits().front()->kind;  // sleep, wait, approval, child
  return kind == "wait" ? "event" : kind;
}

std::string_view status_of(const cell::Run& run) { return to_string(run.shown_status()); }

json::Value preview_json(const cell::CellSpec& spec) {
  json::Value preview = json::object({{"access", cell::name_of(spec.preview_access)}});
  if (spec.preview_port) preview.as_object().set("port", *spec.preview_port);
  return preview;
}

json::Value ports_json(const std::vector<cell::OpenPort>& ports) {
  json::Array list;
  for (const cell::OpenPort& open : ports) {
    list.push_back(json::object({{"port", open.port}, {"since", to_iso8601(open.since)}}));
  }
  return json::Value(std::move(list));
}

}  // namespace

json::Value cell_json(const cell::CellView& view, const PreviewDomain& domain) {
  const cell::CellSpec& spec = view.spec;
  const std::vector<std::string>& allow = spec.network.policy.allow;
  json::Value value =
      json::object({{"cell_id", spec.cell_id},
                    {"customer_id", spec.customer_id},
                    {"tier", spec.tier},
                    {"status", view.state == cell::State::active ? "active" : "paused"},
                    {"state", cell::to_string(view.state)},
                    {"permanent", spec.permanent},
                    {"image", spec.image},
                    {"runtime", sandbox::name_of(spec.runtime)},
                    {"created_at", to_iso8601(spec.created_at)},
                    {"last_active_at", to_iso8601(spec.last_active_at)},
                    {"allow", json::Array(allow.begin(), allow.end())},
                    {"run_retention_s", spec.run_retention.count()},
                    {"file_events", spec.file_events},
                    {"llm", cell::to_json(spec.llm)},
                    {"limits", limits_json(view)},
                    {"isolation", isolation_json(view.isolation)},
                    {"idle", idle_json(view)}});
  json::Object& members = value.as_object();
  if (!spec.image_digest.empty()) members.set("image_digest", spec.image_digest);
  if (!spec.agent_digest.empty()) {
    members.set("agent_digest", spec.agent_digest);
    members.set("agent_language", cell::name_of(spec.agent_language));
  }
  members.set("preview_url", preview_url(domain, spec.cell_id, {}));
  members.set("preview", preview_json(spec));
  members.set("ports", ports_json(view.ports));
  if (view.disk_used) {
    members.set("disk", json::object({{"used_bytes", view.disk_used->bytes},
                                      {"used_inodes", view.disk_used->inodes}}));
  }
  if (spec.wake_at) members.set("wake_at", to_iso8601(*spec.wake_at));
  if (view.pause) members.set("pause", pause_json(*view.pause));
  if (view.resume) members.set("resume", cell::to_json(*view.resume));
  return value;
}

json::Value network_json(const cell::NetworkView& view) {
  json::Array refusals;
  for (const cell::Network::Refused& refused : view.refusals) {
    json::Value refusal = cell::to_json(refused);
    refusal.as_object().set("at", to_iso8601(refused.at));
    refusals.push_back(std::move(refusal));
  }
  const net::Usage& usage = view.usage;
  return json::object(
      {{"policy", cell::to_json(view.spec)},
       {"usage", json::object({{"bytes_up", usage.bytes_up},
                               {"bytes_down", usage.bytes_down},
                               {"connections", usage.connections},
                               {"connections_open", view.open_count},
                               {"refusals", usage.refusals},
                               {"failures", usage.failures},
                               {"questions", usage.questions}})},
       {"ports_taken", json::Array(view.taken_ports.begin(), view.taken_ports.end())},
       {"refusals", std::move(refusals)}});
}

json::Value tiers_json() {
  json::Array list;
  for (const cell::Tier& tier : cell::tiers()) {
    list.push_back(json::object({{"id", tier.id},
                                 {"name", tier.name},
                                 {"spec", tier.spec},
                                 {"active_price", 0},
                                 {"paused_price", 0},
                                 {"storage", tier.storage}}));
  }
  return json::object({{"tiers", std::move(list)}});
}

json::Value run_json(const cell::Run& run) {
  json::Value value = json::object({{"id", run.id},
                                    {"method", run.method},
                                    {"status", status_of(run)},
                                    {"attempt", run.attempt},
                                    {"started_at", to_iso8601(run.started_at)},
                                    {"steps_done", run.steps_done()},
                                    {"agent_digest", run.agent_digest}});
  if (run.generation > 1) value.as_object().set("generation", run.generation);
  if (run.llm_tokens > 0) value.as_object().set("llm_tokens", run.llm_tokens);
  if (!run.parent.empty()) value.as_object().set("parent", run.parent);
  if (!run.forked.run_id.empty()) value.as_object().set("restarted_from", run.forked.run_id);
  if (std::string reason = reason_of(run); !reason.empty()) {
    value.as_object().set("reason", std::move(reason));
  }
  if (run.ended_at) value.as_object().set("ended_at", to_iso8601(*run.ended_at));
  return value;
}

namespace {

// Those that it has not waited for, by type: one that was sent by mistake is seen there.
json::Value kept_events_json(const cell::Run& run) {
  constexpr std::size_t kTypesShown = 100;
  std::map<std::string_view, std::size_t> counts;
  for (const auto& [lsn, event] : run.events) ++counts[event.type];
  json::Array list;
  for (const auto& [type, count] : counts) {
    if (list.size() == kTypesShown) break;
    list.push_back(json::object({{"type", std::string(type)}, {"count", count}}));
  }
  return json::Value(std::move(list));
}

}  // namespace

json::Value run_detail_json(const cell::Run& run) {
  json::Value value = run_json(run);
  json::Object& members = value.as_object();
  if (json::Value kept = kept_events_json(run); !kept.as_array().empty()) {
    members.set("kept_events", std::move(kept));
  }
  members.set("params", json::Value());
  if (!run.detail.empty()) members.set("detail", json::parse(run.detail));
  members.set("steps", json::Value());
  return value;
}

bool add_steps(StepsJson& steps, const cell::Run& run, cell::View view) {
  constexpr std::size_t kStepsAtOnce = 1'000;
  constexpr std::size_t kTextBytesAtOnce = 1 << 20;
  constexpr std::size_t kBytesOfAnyStep = 200;
  const std::size_t bytes_max = steps.text_bytes + kTextBytesAtOnce;
  auto at = run.steps.lower_bound(steps.next);
  for (std::size_t count = 0;
       at != run.steps.end() && count < kStepsAtOnce && steps.text_bytes < bytes_max;
       ++at, ++count) {
    const auto& [ordinal, step] = *at;
    steps.next = ordinal + 1;
    const bool is_final = step.status != cell::StepStatus::open || cell::is_wait(step.kind);
    const bool is_seen = view == cell::View::live || is_final;
    if (!step.is_step() || !is_seen) continue;
    steps.list.push_back(step_json(run, step));
    steps.text_bytes += kBytesOfAnyStep + step.name.size() + step.args.size();
  }
  return at != run.steps.end();
}

void append_event_json(std::string& text, const cell::RunEvent& event) {
  text += "{\"seq\":" + std::to_string(event.seq) + ",\"ts\":\"" + to_iso8601(event.at) +
          "\",\"type\":";
  json::append_quoted(text, event.type);
  if (!event.run.empty()) {
    text += ",\"run\":";
    json::append_quoted(text, event.run);
  }
  if (event.step != 0) text += ",\"step\":" + std::to_string(event.step);
  ((text += ",\"data\":") += event.data) += "}";
}

void append_event_text(std::string& text, const cell::RunEvent& event) {
  text += "id: " + std::to_string(event.seq) + "\nevent: " + event.type + "\ndata: ";
  append_event_json(text, event);
  text += "\n\n";
}

}  // namespace cellar::api
