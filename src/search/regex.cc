#include "search/regex.h"

#include <re2/filtered_re2.h>
#include <re2/re2.h>

#include "base/error.h"

namespace cellar::search {
namespace {

[[noreturn]] void refuse_pattern(const std::string& what) {
  throw Error(ErrorCode::invalid_argument, "invalid_regex", what);
}

}  // namespace

Regex::Regex(std::string_view pattern, LineEnds line_ends)
    : line_ends_(line_ends),
      compiled_(std::make_unique<re2::FilteredRE2>(static_cast<int>(kAtomBytesMin))) {
  if (pattern.empty() || pattern.size() > kPatternBytesMax) {
    refuse_pattern("a regular expression has 1 to " + std::to_string(kPatternBytesMax) + " bytes");
  }
  constexpr std::int64_t kMemoryBytesMax = 8 << 20;  // Of the automaton; it starts anew beyond.
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMemoryBytesMax);
  options.set_never_nl(line_ends == LineEnds::never);
  const auto refuse = [](const std::string& error) {
    refuse_pattern("the regular expression is not one of RE2: " + error);
  };
  // As it was given: what is put around it would make "a)(b" a right one.
  const re2::RE2 own(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!own.ok()) refuse(own.error());
  int id = 0;
  if (compiled_->Add("(?m:" + std::string(pattern) + ")", options, &id) != re2::RE2::NoError) {
    refuse("it is too large");
  }
  // Where its automaton does not fit, each byte costs as many steps as the program is long.
  constexpr int kProgramMax = 2'500;
  if (compiled_->GetRE2(0).ProgramSize() > kProgramMax) refuse("it is too large");
  compiled_->Compile(&atoms_);
  all_atom_count_ = atoms_.size();
  if (atoms_.size() > kAtomsMax) atoms_.resize(kAtomsMax);
}

Regex::~Regex() = default;

std::optional<Regex::Match> Regex::find(std::string_view text, std::size_t from,
                                        const GoesOn& goes_on) const {
  for (;;) {
    const Window window = window_at(text, from);
    const auto match = find_before(text, from, window.end);
    // What begins later may go on behind the window, and something before it, too.
    if (match && (match->begin < window.next || window.end == text.size())) return match;
    if (window.end == text.size() || (goes_on && !goes_on())) return std::nullopt;
    from = window.next;
  }
}

Regex::Window Regex::window_at(std::string_view text, std::size_t from) const {
  if (text.size() - from <= kWindowBytes) return {text.size(), text.size()};
  const std::size_t end = from + kWindowBytes;
  if (line_ends_ == LineEnds::never) {
    const std::size_t newline = text.rfind('\n', end);
    if (newline != text.npos && newline >= from) return {newline, newline + 1};
  }
  return {end, end - kMatchBytesMax};
}

// With all of the text around it: what `^`, `$` and `\b` are does not depend on the window.
std::optional<Regex::Match> Regex::find_before(std::string_view text, std::size_t from,
                                               std::size_t end) const {
  re2::StringPiece found;
  const re2::StringPiece all(text.data(), text.size());
  if (!compiled_->GetRE2(0).Match(all, from, end, re2::RE2::UNANCHORED, &found, 1)) {
    return std::nullopt;
  }
  const auto begin = static_cast<std::size_t>(found.data() - text.data());
  return Match{begin, begin + found.size()};
}

bool Regex::can_match(std::uint32_t atoms) const {
  std::vector<int> held;
  for (std::size_t i = 0; i < all_atom_count_; ++i) {
    // Nobody is asked about those beyond kAtomsMax: they may be there.
    if (i >= kAtomsMax || (atoms >> i & 1) != 0) held.push_back(static_cast<int>(i));
  }
  std::vector<int> possible;
  compiled_->AllPotentials(held, &possible);
  return !possible.empty();
}

}  // namespace cellar::search
