#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {
namespace {

template <typename T>
std::pair<CLI::App*, std::shared_ptr<T>> add_call(CLI::App& group, Raw& raw,
                                                  const std::string& name,
                                                  const std::string& help) {
  auto command = std::make_shared<T>();
  CLI::App* added = group.add_subcommand(name, help);
  added->callback([&raw, command] { raw.command = [command] { return Command(*command); }; });
  return {added, command};
}

void add_place(CLI::App& app, FileRef& into, const std::string& help) {
  add_cell_id(app, into.cell_id);
  app.add_option("PATH", into.path, help)->required();
}

void add_folder(CLI::App& app, FileRef& into) {
  add_cell_id(app, into.cell_id);
  app.add_option("PATH", into.path, "The folder (/, which is the cell's /work)");
}

void add_mode(CLI::App& app, std::string& into) {
  app.add_option("--mode", into, "Its permissions, such as 644 or 755");
}

void add_change_commands(CLI::App& files, Raw& raw) {
  const auto [write, to_write] =
      add_call<FileWrite>(files, raw, "write", "Write standard input to a file");
  add_place(*write, to_write->at, "The file");
  add_mode(*write, to_write->mode);
  CLI::Option* append = write->add_flag("--append", to_write->append, "Add it at the file's end");
  write->add_flag("--create", to_write->create, "Only where nothing is there")->excludes(append);
  write->add_option("--if-match", to_write->if_match, "Only where the file has this etag");

  const auto [move, to_move] = add_call<FileMove>(files, raw, "mv", "Move a file or folder");
  add_cell_id(*move, to_move->from.cell_id);
  move->add_option("FROM", to_move->from.path, "What is moved")->required();
  move->add_option("TO", to_move->to, "Its new path")->required();
  move->add_flag("--overwrite", to_move->overwrite, "Replace what is there");

  const auto [make, to_make] =
      add_call<FileMakeFolder>(files, raw, "mkdir", "Make a folder, and those above it");
  add_place(*make, to_make->at, "The folder");
  add_mode(*make, to_make->mode);

  const auto [chmod, to_set] =
      add_call<FileChmod>(files, raw, "chmod", "Set the permissions of a file or folder");
  add_cell_id(*chmod, to_set->at.cell_id);
  chmod->add_option("MODE", to_set->mode, "Such as 644 or 755")->required();
  chmod->add_option("PATH", to_set->at.path, "The file or folder")->required();

  const auto [remove, to_remove] =
      add_call<FileRemove>(files, raw, "rm", "Delete a file, or a folder with all in it");
  add_place(*remove, to_remove->at, "The file or folder");
  remove->add_option("--if-match", to_remove->if_match, "Only where the file has this etag");
}

}  // namespace

void add_file_commands(CLI::App& app, Raw& raw) {
  CLI::App* files = app.add_subcommand("files", "Files of a cell");
  files->require_subcommand(1);
  files->fallthrough();

  const auto [list, to_list] = add_call<FileList>(*files, raw, "ls", "List a folder");
  add_folder(*list, to_list->at);
  list->add_flag("-r,--recursive", to_list->recursive, "And all folders in it");

  const auto [cat, to_cat] = add_call<FileCat>(*files, raw, "cat", "Show a file");
  add_place(*cat, to_cat->at, "The file");
  const auto [stat, to_stat] =
      add_call<FileStat>(*files, raw, "stat", "Show what is at a path, and its etag");
  add_place(*stat, to_stat->at, "The file, link or folder");
  add_change_commands(*files, raw);

  const auto [glob, to_glob] = add_call<FileGlob>(*files, raw, "glob", "Find files by a pattern");
  add_cell_id(*glob, to_glob->at.cell_id);
  glob->add_option("PATTERN", to_glob->pattern, "Such as 'src/**/*.{ts,tsx}'")->required();
  glob->add_option("PATH", to_glob->at.path, "Below this folder (/)");
  glob->add_option("--limit", to_glob->limit, "At most so many (1000)")
      ->check(whole_number(1, 10'000));
  glob->add_flag("-a,--all", to_glob->all, "What search leaves out, too");

  const auto [grep, to_grep] =
      add_call<FileGrep>(*files, raw, "grep", "Find lines by a regular expression");
  add_cell_id(*grep, to_grep->at.cell_id);
  grep->add_option("PATTERN", to_grep->pattern, "Of RE2")->required();
  grep->add_option("PATH", to_grep->at.path, "Below this folder, or in this file (/)");
  add_repeated(*grep, "--path", to_grep->paths, "Only files that this pattern names");
  grep->add_option("-C,--context", to_grep->context, "So many lines before and after")
      ->check(whole_number(0, 20));
  grep->add_option("--limit", to_grep->limit, "At most so many lines (100)")
      ->check(whole_number(1, 10'000));
  grep->add_flag("-F,--literal", to_grep->literal, "The pattern is a text");
  grep->add_flag("-i,--ignore-case", to_grep->ignore_case, "Without regard to case");
  grep->add_flag("-a,--all", to_grep->all, "What search leaves out, too");

  const auto [watch, to_watch] =
      add_call<FileWatch>(*files, raw, "watch", "Tell what happens to files, until Ctrl+C");
  add_folder(*watch, to_watch->at);
  watch->add_flag("-a,--all", to_watch->all, "What search leaves out, too");
}

}  // namespace cellar::cli
