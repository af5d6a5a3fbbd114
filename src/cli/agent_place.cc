#include "cli/agent_place.h"

#include "cli/commands.h"

namespace cellar::cli {
namespace {

// How the agent's file is called in its cell, before its digest and its ending.
constexpr std::string_view kVersions = "/data/versions/";
constexpr std::string_view kDigits = "0123456789";

std::string_view number_at(std::string_view text) {
  return text.substr(0, text.find_first_not_of(kDigits));
}

// `text` begins behind kVersions: DIGEST.js:3:14, or DIGEST.py", line 3.
std::string place_at(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == text.npos) return "";
  const std::size_t end = text.find_first_of(":\"", dot);
  if (end == text.npos) return "";
  std::string place = "agent" + std::string(text.substr(dot, end - dot));
  const bool is_python = text[end] == '"';
  const std::string_view before = is_python ? "\", line " : ":";
  text.remove_prefix(end);
  if (!text.starts_with(before)) return "";
  text.remove_prefix(before.size());
  const std::string_view line = number_at(text);
  if (line.empty()) return "";
  place.append(":").append(line);
  text.remove_prefix(line.size());
  const std::string_view column = text.starts_with(':') ? number_at(text.substr(1)) : "";
  if (!column.empty()) place.append(":").append(column);
  return place;
}

}  // namespace

std::string place_in_agent(const json::Value& error) {
  if (!error.is_object()) return "";
  const std::string stack = column(error, "stack");
  // The innermost call comes first in JavaScript, last in Python.
  const bool is_python = stack.find(".py\", line ") != stack.npos;
  const std::size_t at = is_python ? stack.rfind(kVersions) : stack.find(kVersions);
  if (at == stack.npos) return "";
  return place_at(std::string_view(stack).substr(at + kVersions.size()));
}

}  // namespace cellar::cli
