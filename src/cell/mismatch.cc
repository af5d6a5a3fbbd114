#include "cell/mismatch.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

std::string_view member(const json::Value& side, std::string_view name) {
  const json::Value* value = side.is_object() ? side.find(name) : nullptr;
  return value != nullptr && value->is_string() ? std::string_view(value->as_string()) : "";
}

// "at 1764490000123" and "at 1764490000456" are one name, and so are two that hold a UUID.
std::string without_numbers(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '.' || c == '-';
    if (!is_hex) {
      text += c;
    } else if (!text.ends_with('#')) {
      text += '#';
    }
  }
  return text;
}

bool has_digit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view likely_cause(const json::Value& expected, const json::Value& got) {
  const std::string_view was = member(expected, "n");
  const std::string_view is = member(got, "n");
  const bool is_same_kind = member(expected, "k") == member(got, "k");
  if (member(got, "k") == "nothing") {
    return "the code waits for something that is not of ctx, or has gone another way";
  }
  if (is_same_kind && was == is) {
    return "the arguments are made of what is not the same each time: a time, a random number, an "
           "order that nothing keeps";
  }
  if (is_same_kind && has_digit(was) && without_numbers(was) == without_numbers(is)) {
    return "the name is made of what is not the same each time: a time, a random number";
  }
  return "the code has gone another way: by a time, a random number, a file, a variable, or by "
         "branches that wait for something that is not of ctx";
}

// A name may be as long as a program; a run that is paused has all of this in memory.
constexpr std::size_t kWordBytesMax = 1024;
constexpr std::size_t kDetailBytesMax = 16 << 10;
constexpr std::size_t kMatchedMax = 5;

json::Value shortened(const json::Value& value) {
  if (!value.is_string() || value.as_string().size() <= kWordBytesMax) return value;
  const std::string& text = value.as_string();
  return text.substr(0, utf8_floor(text, kWordBytesMax)) + "…";
}

json::Value side_of(const json::Value& value) {
  if (!value.is_object()) return value.is_array() ? json::Value() : shortened(value);
  json::Object side;
  for (const char* key : {"o", "k", "n", "fp"}) {
    const json::Value* one = value.find(key);
    if (one != nullptr && (one->is_string() || one->is_int())) side.set(key, shortened(*one));
  }
  return side;
}

struct Difference {
  json::Value expected;
  json::Value got;
  json::Array matched;
  std::string_view cause;
};

// "step "plan"", "now".
std::string asked_of(const json::Value& side) {
  const std::string_view kind = member(side, "k");
  const std::string_view name = member(side, "n");
  std::string text(kind.empty() ? "something" : kind);
  return name.empty() ? text : text + " \"" + std::string(name) + "\"";
}

std::string words_of(const Difference& difference) {
  const std::string recorded = asked_of(difference.expected);
  const std::string asked = asked_of(difference.got);
  std::string text = "the journal holds " + recorded;
  if (member(difference.got, "k") == "nothing") {
    text += ", and the agent waits without asking for it";
  } else if (recorded == asked) {
    text += ", and the agent asks for it with other arguments";
  } else {
    text += ", and the agent asks for " + asked;
  }
  if (!difference.matched.empty()) {
    text += "; the last that was the same: " + asked_of(difference.matched.back());
  }
  return text + ". Likely " + std::string(difference.cause);
}

json::Array matched_of(const json::Value& detail) {
  json::Array matched;
  const json::Value* told = detail.find("matched");
  if (told == nullptr || !told->is_array()) return matched;
  for (const json::Value& one : told->as_array()) {
    if (matched.size() == kMatchedMax) break;
    matched.push_back(side_of(one));
  }
  return matched;
}

}  // namespace

std::string explain_mismatch(std::string detail, std::uint32_t ordinal) {
  try {
    json::Value value = json::parse(detail);
    const json::Value* expected = value.is_object() ? value.find("expected") : nullptr;
    const json::Value* got = value.is_object() ? value.find("got") : nullptr;
    if (expected != nullptr && got != nullptr) {
      const Difference difference{.expected = side_of(*expected),
                                  .got = side_of(*got),
                                  .matched = matched_of(value),
                                  .cause = likely_cause(*expected, *got)};
      return json::dump(json::object({{"message", words_of(difference)},
                                      {"expected", difference.expected},
                                      {"got", difference.got},
                                      {"matched", difference.matched},
                                      {"ordinal", ordinal},
                                      {"cause", difference.cause}}));
    }
  } catch (const Error&) {  // Whoever says this may say anything.
  }
  if (detail.size() <= kDetailBytesMax) return detail;
  return R"({"message":"the agent says more of what differs than can be shown"})";
}

}  // namespace cellar::cell
