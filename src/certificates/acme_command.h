#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "certificates/pair.h"

namespace cellar::certificates {

// The operator's program that gets certificates by ACME (RFC 8555), with the words it is given. It
// runs without a shell: spaces part the words, nothing quotes.
class AcmeCommand {
 public:
  // Throws Error `invalid_argument`, reason `invalid_acme_command`: for no words, no {domain}, or
  // what stands in braces and is none of the three.
  static AcmeCommand parse(std::string_view text);

  const std::string& program() const noexcept { return words_.front(); }
  // What it is given, with {domain}, {webroot} and {directory} put in.
  std::vector<std::string> arguments(const std::string& domain, const std::string& webroot,
                                     const std::string& directory) const;

 private:
  std::vector<std::string> words_;
};

// What such a program has put into its {directory} for a domain: as dehydrated, certbot, lego or
// uacme do. nullopt where there is nothing. Blocking.
std::optional<PairFiles> find_issued(const std::string& directory, const std::string& domain);

// The end of what such a program said, in which it says why: text, whatever the bytes were, so that
// it can be kept and shown as JSON.
std::string end_of_output(std::string_view output);

// Whether a text is a token of an ACME challenge: so it is the name of a file, and no path.
bool is_challenge_token(std::string_view text) noexcept;

}  // namespace cellar::certificates
