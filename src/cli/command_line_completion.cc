#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {
namespace {

// The option of that name, of `app` or what it is within; nullptr for none.
const CLI::Option* option_of(const CLI::App* app, const std::string& name) {
  for (; app != nullptr; app = app->get_parent()) {
    const auto found =
        app->get_options([&](const CLI::Option* one) { return one->check_name(name); });
    if (!found.empty()) return found.front();
  }
  return nullptr;
}

// nullptr for none.
const CLI::App* command_in(const CLI::App& app, const std::string& name) {
  const auto commands = commands_in(app);
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const CLI::App* one) { return one->check_name(name); });
  return found == commands.end() ? nullptr : *found;
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* one) { return one->get_positional(); });
}

// Where the words lead: the innermost command, how many of its positionals are there, and the
// option that waits for its value.
struct Place {
  const CLI::App* app;
  std::size_t positional_count = 0;
  bool is_value = false;
};

Place place_of(const CLI::App& app, const std::vector<std::string>& words) {
  Place place{&app};
  for (const std::string& word : words) {
    if (place.is_value) {
      place.is_value = false;
    } else if (word.starts_with('-')) {
      const CLI::Option* option = option_of(place.app, word);  // none for "--name=value"
      place.is_value = option != nullptr && option->get_items_expected_max() > 0;
    } else if (const CLI::App* inner = command_in(*place.app, word)) {
      place = {inner};
    } else {
      ++place.positional_count;
    }
  }
  return place;
}

void add_options(const CLI::App* app, Complete& complete) {
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        const bool is_known = std::any_of(complete.words.begin(), complete.words.end(),
                                          [&](const auto& one) { return one.text == "--" + name; });
        if (!is_known) complete.words.push_back({"--" + name, option->get_description()});
      }
    }
  }
}

}  // namespace

std::vector<const CLI::App*> commands_in(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

Complete complete_words(const CLI::App& app, std::vector<std::string> words) {
  Complete complete;
  if (words.empty()) words.emplace_back();
  complete.begun = words.back();
  words.pop_back();
  if (std::find(words.begin(), words.end(), "--") != words.end()) return complete;
  const Place place = place_of(app, words);
  if (place.is_value) return complete;
  if (complete.begun.starts_with('-')) {
    add_options(place.app, complete);
  } else if (place.positional_count == 0) {
    for (const CLI::App* one : commands_in(*place.app)) {
      complete.words.push_back({one->get_name(), one->get_description()});
    }
  }
  const auto positionals = positionals_of(*place.app);
  if (!complete.begun.starts_with('-') && !positionals.empty()) {
    const std::size_t at = std::min(place.positional_count, positionals.size() - 1);
    const CLI::Option* option = positionals[at];
    const bool is_there =
        place.positional_count < positionals.size() || option->get_items_expected_max() > 1;
    complete.takes_cell = is_there && option->get_name(true) == "ID";
  }
  std::erase_if(complete.words,
                [&](const auto& one) { return !one.text.starts_with(complete.begun); });
  return complete;
}

void add_completion_commands(CLI::App& app, Raw& raw) {
  const auto script = std::make_shared<CompletionScript>();
  CLI::App* sub = app.add_subcommand("completion", "Print what makes a shell complete commands");
  sub->add_option("SHELL", script->shell, "bash, zsh or fish")
      ->required()
      ->check(one_of({"bash", "zsh", "fish"}));
  sub->footer(
      "bash: eval \"$(cellar completion bash)\"; zsh: the same behind compinit;\n"
      "fish: cellar completion fish | source. In the shell's start file it is for always.");
  sub->callback([&raw, script] { raw.command = [script] { return Command(*script); }; });

  sub = app.add_subcommand("complete", "What may stand in the place of the last word: for shells");
  sub->group("");  // Nobody types it.
  sub->callback([&raw] { raw.command = [] { return Command(Complete()); }; });
}

}  // namespace cellar::cli
