#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "api/preview_address.h"
#include "cell/cell.h"
#include "json/value.h"

// Our values as JSON that clients see (schemas of docs/api/openapi.yaml).
namespace cellar::api {

json::Value cell_json(const cell::CellView& view, const PreviewDomain& domain);
// What it may reach, and what it used and was refused.
json::Value network_json(const cell::NetworkView& view);
json::Value tiers_json();
json::Value process_json(const cell::ProcessView& view);
// The short form, for lists.
json::Value run_json(const cell::Run& run);
// The long form but for what may be long: `params` and `steps` are null yet, and what it ended with
// is left out.
json::Value run_detail_json(const cell::Run& run);

// The steps of a run, as far as they were added.
struct StepsJson {
  json::Array list;
  std::size_t text_bytes = 0;  // about as many as it has as text
  std::uint32_t next = 0;      // the ordinal to go on with
};
// Adds some of them: so many that others, who may change the run, should have their turn then. Of
// the committed view those that are not executed again: they have ended, or wait. False once there
// are no more.
bool add_steps(StepsJson& steps, const cell::Run& run, cell::View view);

// {seq, ts, type, run?, step?, data} as JSON text, behind what is in `text`.
void append_event_json(std::string& text, const cell::RunEvent& event);
// The same as one server-sent event: id, event, and data, which is that.
void append_event_text(std::string& text, const cell::RunEvent& event);

}  // namespace cellar::api
