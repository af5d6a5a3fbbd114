#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP as values: no type of the library behind it is seen outside this module's sources.
namespace cellar::http {

// Header fields in their order, names as they were sent, those that come twice twice.
using Fields = std::vector<std::pair<std::string, std::string>>;

// Header names in lower case; of a name that comes twice the last one counts.
using Headers = std::map<std::string, std::string, std::less<>>;

struct Request {
  std::string method;                                     // "GET"
  std::string target;                                     // as it was sent: "/api/v1/cells?limit=3"
  std::string path;                                       // without the query, still encoded
  std::map<std::string, std::string, std::less<>> query;  // decoded
  bool has_broken_query = false;  // it has a broken escape: `query` is empty
  Headers headers;

  // nullptr where there is none.
  const std::string* header(std::string_view lower_case_name) const;
  std::optional<std::string> query_value(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Fields headers;  // besides type and length
};

// "%41" is "A"; "+" stays. nullopt for a broken escape.
std::optional<std::string> decode_percent(std::string_view text);

// "a=1&b=%20" as a map, "+" being a space. nullopt for a broken escape.
std::optional<std::map<std::string, std::string, std::less<>>> parse_query(std::string_view text);

}  // namespace cellar::http
