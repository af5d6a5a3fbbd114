#pragma once

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
// With steps; of the committed view those that are not executed again: they have ended, or wait.
// `params` is null yet and what it ended with is left out: both may take long to read.
json::Value run_detail_json(const cell::Run& run, cell::View view);

// {seq, ts, type, run?, step?, data} as JSON text.
std::string event_json(const cell::RunEvent& event);
// One server-sent event: id, event, and data, which is that.
std::string event_text(const cell::RunEvent& event);

}  // namespace cellar::api
