// What shells ask while somebody types.

#include "base/error.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

constexpr std::string_view kBash = R"(_cellar() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _cellar cellar
)";

constexpr std::string_view kZsh = R"(#compdef cellar
_cellar() {
  local line
  local -a items
  for line in "${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && items+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  if (( $#items )); then
    _describe cellar items
  else
    _files
  fi
}
if [[ ${funcstack[1]} == _cellar ]]; then _cellar "$@"; else compdef _cellar cellar; fi
)";

constexpr std::string_view kFish = R"(function __cellar_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete -- $words[2..-1] 2>/dev/null
end
complete -c cellar -a '(__cellar_complete)'
)";

void write_word(const std::string& text, const std::string& help, Output& output) {
  output.write(printable(text) + "\t" + printable(help) + "\n");
}

}  // namespace

int run(const CompletionScript& command, Context& context) {
  context.output.write(command.shell == "bash" ? kBash : command.shell == "zsh" ? kZsh : kFish);
  return 0;
}

int run(const Complete& command, Context& context) {
  for (const Complete::Word& word : command.words) {
    write_word(word.text, word.help, context.output);
  }
  if (!command.takes_cell) return 0;
  json::Array cells;
  try {
    cells = all_cells(context.api);
  } catch (const Error&) {  // Whoever types is not to be told now that the daemon is away.
  }
  for (const json::Value& cell : cells) {
    const std::string id = column(cell, "cell_id");
    if (id.starts_with(command.begun)) write_word(id, column(cell, "state"), context.output);
  }
  return 0;
}

}  // namespace cellar::cli
