#pragma once

#include <string>
#include <vector>

namespace cellar::cli {

// `completion SHELL`: what that shell has to know so that it asks `complete`.
struct CompletionScript {
  std::string shell;  // bash, zsh, fish
};

// What may stand where a word is being typed.
struct Complete {
  struct Word {
    std::string text;
    std::string help;
  };
  std::string begun;        // what of the word is there
  std::vector<Word> words;  // that begin so
  bool takes_cell = false;  // the id of a cell may stand there
};

}  // namespace cellar::cli
