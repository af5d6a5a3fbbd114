#include "certificates/acme_command.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "sys/file.h"

namespace cellar::certificates {
namespace {

constexpr std::size_t kTokenBytesMax = 128;
constexpr std::size_t kSaidBytesMax = 4096;
constexpr std::string_view kDomain = "{domain}";
constexpr std::string_view kWebroot = "{webroot}";
constexpr std::string_view kDirectory = "{directory}";

[[noreturn]] void refuse_command(const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "invalid_acme_command", "--acme-command: " + why,
              "write it as: lego --accept-tos --email me@example.com --path {directory} --http "
              "--http.webroot {webroot} --domains {domain} run");
}

std::string replaced(std::string word, std::string_view what, const std::string& by) {
  for (std::size_t at = word.find(what); at != word.npos; at = word.find(what, at + by.size())) {
    word.replace(at, what.size(), by);
  }
  return word;
}

void check_braces(const std::string& word) {
  for (std::size_t at = word.find('{'); at != word.npos; at = word.find('{', at + 1)) {
    const std::string_view rest = std::string_view(word).substr(at);
    const bool is_known =
        rest.starts_with(kDomain) || rest.starts_with(kWebroot) || rest.starts_with(kDirectory);
    if (!is_known)
      refuse_command("\"" + word + "\" has what is not {domain}, {webroot}, {directory}");
  }
}

}  // namespace

AcmeCommand AcmeCommand::parse(std::string_view text) {
  AcmeCommand command;
  bool has_domain = false;
  for (const std::string_view word : split(text, ' ')) {
    if (word.empty()) continue;
    command.words_.emplace_back(word);
    check_braces(command.words_.back());
    has_domain = has_domain || word.find(kDomain) != word.npos;
  }
  if (command.words_.empty()) refuse_command("it names no program");
  if (!has_domain) refuse_command("no word has {domain}");
  return command;
}

std::vector<std::string> AcmeCommand::arguments(const std::string& domain,
                                                const std::string& webroot,
                                                const std::string& directory) const {
  std::vector<std::string> arguments;
  for (std::size_t i = 1; i < words_.size(); ++i) {
    std::string word = replaced(words_[i], kDomain, domain);
    word = replaced(std::move(word), kWebroot, webroot);
    arguments.push_back(replaced(std::move(word), kDirectory, directory));
  }
  return arguments;
}

std::optional<PairFiles> find_issued(const std::string& directory, const std::string& domain) {
  const std::string at = directory + "/";
  const PairFiles places[] = {
      {at + domain + "/fullchain.pem", at + domain + "/privkey.pem"},  // dehydrated
      {at + "live/" + domain + "/fullchain.pem",
       at + "live/" + domain + "/privkey.pem"},                                          // certbot
      {at + "certificates/" + domain + ".crt", at + "certificates/" + domain + ".key"},  // lego
      {at + domain + "/cert.pem", at + "private/" + domain + "/key.pem"}};               // uacme
  for (const PairFiles& files : places) {
    if (sys::exists(files.chain) && sys::exists(files.key)) return files;
  }
  return std::nullopt;
}

std::string end_of_output(std::string_view output) {
  output.remove_prefix(output.size() - std::min(output.size(), kSaidBytesMax));
  return std::string(trim(as_utf8(output, "?")));  // Of one byte: it gets no longer.
}

bool is_challenge_token(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kTokenBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

}  // namespace cellar::certificates
