#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "search/query.h"

namespace cellar::search {

// The file's name without its suffixes: "raw_hash_set" of "absl/container/raw_hash_set.h".
std::string_view stem_of_path(std::string_view path) noexcept;
// The last `count` folders of the path, outermost first.
std::vector<std::string_view> last_folders(std::string_view path, std::size_t count);

// The words of the file's stem and its folder, stemmed.
std::vector<std::string> words_of_path(std::string_view path);

// Which share of the query's words, 0 to 1, is in `path_words`: a whole word counts 1, a prefix of
// at least three letters .8.
float path_match(const Query& query, const std::vector<std::string>& path_words);

// What a file's score is multiplied with, 0 to 1: tests, compatibility and legacy code, examples
// and the code in docs are seldom what is looked for; files that define nothing but re-export, and
// declarations, repeat the words of the real thing.
enum class Defines : bool { nothing, something };
float path_penalty(const Query& query, std::string_view path, Defines defines);

// "RawHashSet", "raw_hash_set" and "raw-hash-set" are one name.
bool same_name(std::string_view a, std::string_view b) noexcept;

}  // namespace cellar::search
