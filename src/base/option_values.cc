#include "base/option_values.h"

#include <charconv>
#include <optional>

#include "base/check.h"
#include "base/nearest.h"

namespace cellar {
namespace {

constexpr int kTooManyWords = static_cast<int>(CLI::ExitCodes::ExtrasError);

template <typename T>
std::optional<T> number_in(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string shown(const std::string& given) { return describe_unknown(given, {}).shown; }

std::string refusal(const std::string& allowed, const std::string& given) {
  return "must be " + allowed + ", not \"" + shown(given) + "\"";
}

std::string plain(double number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  return std::string(digits, end);
}

bool is_flag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0 && !option.get_name(false, true).empty();
}

bool has_check(CLI::Option& option) {
  try {
    return option.get_validator(0) != nullptr;
  } catch (const CLI::OptionNotFound&) {  // The library's way to say that there is none.
    return false;
  }
}

void check_values(CLI::App& app) {
  const auto is_true_or_false = [](const std::string& given) -> std::string {
    if (given == "true" || given == "false") return "";
    return refusal("given alone, or with =true or =false", given);
  };
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const bool is_number = type == "INT" || type == "UINT" || type == "FLOAT";
    if (is_flag(*option)) option->check(is_true_or_false, "");
    CELLAR_CHECK(is_flag(*option) || !is_number || has_check(*option));
  }
  for (CLI::App* one : app.get_subcommands([](CLI::App*) { return true; })) check_values(*one);
}

// Of the root, as the library asks it.
std::string describe(const CLI::App* root, const CLI::Error& error) {
  const CLI::App* command = root;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  std::string text = error.what();
  const auto required = text.find(": 1 required ");
  const std::vector<std::string> words = root->remaining(true);
  if (required != text.npos && text.ends_with(" missing")) {
    text.replace(required, text.npos, ": needs a value");
  } else if (error.get_exit_code() == kTooManyWords && !words.empty()) {
    text = command->get_name() + ": \"" + shown(words.front()) + "\" is a word too many";
  }
  return text + "\nRun with --help for more information.\n";
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const std::string least_most =
      std::to_string(least) + (most == INT64_MAX ? " on" : " to " + std::to_string(most));
  const auto check = [=](const std::string& given) -> std::string {
    const auto number = number_in<std::int64_t>(given);
    if (number && *number >= least && *number <= most) return "";
    return refusal("a whole number from " + least_most, given);
  };
  return CLI::Validator(check, least_most, "");
}

CLI::Validator decimal_number(double least, double most) {
  const std::string least_most = plain(least) + " to " + plain(most);
  const auto check = [=](const std::string& given) -> std::string {
    const auto number = number_in<double>(given);
    if (number && *number >= least && *number <= most) return "";
    return refusal("a number from " + least_most, given);
  };
  return CLI::Validator(check, least_most, "");
}

CLI::Validator one_of(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) {
    const bool is_last = &word == &words.back();
    all += (all.empty() ? "" : is_last ? " or " : ", ") + word;
  }
  const auto check = [=](const std::string& given) -> std::string {
    for (const std::string& word : words) {
      if (word == given) return "";
    }
    return refusal(all, given);
  };
  return CLI::Validator(check, "{" + CLI::detail::join(words, ",") + "}", "");
}

CLI::Validator ipv4_address() {
  const auto check = [](const std::string& given) -> std::string {
    return CLI::ValidIPV4(given).empty() ? "" : refusal("an IPv4 address", given);
  };
  return CLI::Validator(check, "IPV4", "");
}

void name_refusals(CLI::App& app) {
  check_values(app);
  app.failure_message(describe);
}

}  // namespace cellar
