#pragma once

#include "cli/api.h"
#include "cli/command_line.h"
#include "cli/output.h"
#include "doctor/judge.h"

namespace cellar::cli {

// What a command works with.
struct Context {
  Api& api;
  Output& output;
  int in;  // standard input
};

// One file each: what a subcommand does, and its exit code. All throw Error.
int run(const Create& command, Context& context);        // create.cc
int run(const List& command, Context& context);          // ls.cc
int run(const Get& command, Context& context);           // get.cc
int run(const Remove& command, Context& context);        // rm.cc
int run(const Pause& command, Context& context);         // pause.cc
int run(const Resume& command, Context& context);        // resume.cc
int run(const Exec& command, Context& context);          // exec.cc
int run(const Copy& command, Context& context);          // cp.cc
int run(const AgentRequest& command, Context& context);  // request.cc
int run(const Search& command, Context& context);        // search.cc
int run(const Events& command, Context& context);        // events.cc
int run(const Runs& command, Context& context);          // runs.cc
int run(const Cancel& command, Context& context);        // cancel.cc
int run(const ImageBuild& command, Context& context);    // image.cc
int run(const ImageImport& command, Context& context);
int run(const ImageList& command, Context& context);
int run(const ImageRemove& command, Context& context);
int run(const Doctor& command, Context& context);  // doctor.cc

// An object as -o json has it, or a member a line. In get.cc.
void show(const json::Value& object, Output& output);

// The findings as a table, and what they amount to. In doctor.cc.
std::string format_findings(const doctor::Findings& findings, Look look);
std::string format_judgement(const doctor::Judgement& judgement, doctor::Level level, Look look);

// The member's text for a table: empty where it is absent or null. In ls.cc.
std::string column(const json::Value& object, std::string_view name);

}  // namespace cellar::cli
