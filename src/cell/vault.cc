#include "cell/vault.h"

#include <algorithm>

#include "async/pool.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"
#include "net/placeholder.h"
#include "net/rules.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr const char* kSystemRoots = "/etc/ssl/certs";
constexpr const char* kSystemBundle = "/etc/ssl/certs/ca-certificates.crt";
// What update-ca-certificates puts into the bundle that it makes anew.
constexpr const char* kLocalRoot = "/usr/local/share/ca-certificates/cellar-cell.crt";

constexpr const char* kTrustScript = R"sh(set -e
new=$(cat)
mkdir -p "${1%/*}" "${2%/*}"
[ "$(cat "$1" 2>/dev/null)" = "$new" ] || printf '%s\n' "$new" > "$1"
ln -sf "$1" "${2%/*}/$3"
# Not all have a /usr that is theirs: a daemon without root gives them the host's.
{ mkdir -p "${4%/*}" && ln -sf "$1" "$4"; } 2>/dev/null || true
case "$(cat "$2" 2>/dev/null)" in
  *"$new"*) ;;
  *) printf '%s\n' "$new" >> "$2" ;;
esac)sh";

[[noreturn]] void refuse_secret(const std::string& name, const std::string& why) {
  throw Error(
      ErrorCode::invalid_argument, "invalid_secret", "\"secrets\": \"" + name + "\" " + why,
      "write \"NAME\": \"value\", or \"NAME\": {\"value\", \"hosts\": [\"api.example.com\"], "
      "\"header\"?, \"shell\"?}");
}

// Shells know letters, digits and "_" only, other programs more: what worked elsewhere works here.
bool is_variable_name(std::string_view name) {
  constexpr std::string_view kMarks = "_-.";
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= kSecretNameBytesMax && !is_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
                  kMarks.find(c) != kMarks.npos;
         });
}

void check_name(const std::string& name) {
  if (is_variable_name(name)) return;
  throw Error(ErrorCode::invalid_argument, "invalid_secret",
              "the secret's name \"" + describe_unknown(name, {}).shown + "\" must be 1 to " +
                  std::to_string(kSecretNameBytesMax) +
                  " letters, digits, \"_\", \"-\" and \".\", and not begin with a digit",
              "it becomes an environment variable: name it like one, as OPENAI_API_KEY");
}

bool is_one_line(std::string_view text) { return std::ranges::none_of(text, is_control); }

void check_bound(const std::string& name, const Secret& secret) {
  if (secret.hosts.size() > Secret::kHostsMax) {
    refuse_secret(name, "has more than " + std::to_string(Secret::kHostsMax) + " hosts");
  }
  for (const std::string& host : secret.hosts) {
    if (net::HostPattern::parse(host)) continue;
    refuse_secret(
        name, "has a host that is no name, nor *.name, with :port or without: \"" + host + "\"");
  }
  const std::size_t size = secret.value.size();
  if (size < Secret::kBoundBytesMin || size > Secret::kBoundBytesMax ||
      !is_one_line(secret.value)) {
    refuse_secret(name, "must be one line of " + std::to_string(Secret::kBoundBytesMin) + " to " +
                            std::to_string(Secret::kBoundBytesMax) + " bytes to be put in");
  }
  if (secret.header.empty()) return;
  // As in a rule.
  const net::RuleText rule{.host = "a.example", .headers = {{secret.header, ""}}};
  try {
    net::Rules::parse({rule});
  } catch (const Error&) {
    refuse_secret(name, "cannot be the header \"" + secret.header + "\"");
  }
}

std::vector<net::BoundSecret> bound_of(const SecretSet& secrets) {
  std::vector<net::BoundSecret> bound;
  for (const auto& [name, secret] : secrets) {
    if (!secret.is_bound()) continue;
    net::BoundSecret one{.name = name,
                         .placeholder = secret.placeholder,
                         .value = secret.value,
                         .header = secret.header};
    for (const std::string& host : secret.hosts) {
      one.hosts.push_back(net::HostPattern::parse(host).value());
    }
    bound.push_back(std::move(one));
  }
  return bound;
}

std::string encode(const SecretSet& secrets) {
  json::Object all;
  for (const auto& [name, secret] : secrets) {
    if (!secret.is_bound()) {
      all.set(name, secret.value);
      continue;
    }
    all.set(name, json::object({{"value", secret.value},
                                {"hosts", json::Array(secret.hosts.begin(), secret.hosts.end())},
                                {"header", secret.header},
                                {"shell", secret.in_shell},
                                {"placeholder", secret.placeholder}}));
  }
  return json::dump(json::Value(std::move(all)));
}

SecretSet decode_secrets(const std::string& text) {
  SecretSet secrets;
  const json::Value value = json::parse(text);
  for (const auto& [name, member] : value.as_object()) {
    Secret& secret = secrets[name];
    if (member.is_string()) {
      secret.value = member.as_string();
      continue;
    }
    const json::Reader reader(member, "a sealed secret");
    secret.value = reader.required_string("value");
    secret.hosts = reader.optional_strings("hosts").value_or(std::vector<std::string>());
    secret.header = reader.optional_string("header").value_or("");
    secret.in_shell = reader.optional_bool("shell").value_or(false);
    secret.placeholder = reader.required_string("placeholder");
  }
  return secrets;
}

[[noreturn]] void throw_sealed() {
  throw Error(ErrorCode::unavailable, std::string(kSecretsSealed),
              "the cell's secrets were sealed with another key",
              "create the cell again with its secrets, or bring the key file back");
}

std::string authority_context(const std::string& cell_id) { return cell_id + "/authority"; }

}  // namespace

Secret read_secret(const std::string& name, const json::Value& value) {
  check_name(name);
  Secret secret;
  if (value.is_string()) {
    secret.value = value.as_string();
    return secret;
  }
  if (!value.is_object()) refuse_secret(name, "must be a text or an object");
  const json::Reader reader(value, "the secret \"" + name + "\"");
  const json::Value* text = reader.optional_value("value");
  if (text == nullptr || !text->is_string()) {
    refuse_secret(name, "needs a \"value\", which is a text");
  }
  secret.value = text->as_string();
  const auto hosts = reader.optional_strings("hosts");
  secret.header = reader.optional_string("header").value_or("");
  secret.in_shell = reader.optional_bool("shell").value_or(false);
  reader.refuse_unknown();
  secret.hosts = hosts.value_or(std::vector<std::string>());
  const bool needs_hosts = hosts || !secret.header.empty() || secret.in_shell;
  if (needs_hosts && secret.hosts.empty())
    refuse_secret(name, "must name at least one of \"hosts\"");
  return secret;
}

SecretSet read_secrets(const json::Value& value) {
  if (!value.is_object()) json::Reader::refuse("secrets", "an object");
  SecretSet secrets;
  for (const auto& [name, member] : value.as_object()) {
    secrets.emplace(name, read_secret(name, member));
    if (secrets.size() > kSecretsMax) break;  // check() refuses them.
  }
  return secrets;
}

void check(const SecretSet& secrets) {
  if (secrets.size() > kSecretsMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_secret",
                "a cell has at most " + std::to_string(kSecretsMax) + " secrets", "take some away");
  }
  for (const auto& [name, secret] : secrets) {
    const bool is_bad = name.empty() || name.find('=') != name.npos ||
                        name.find('\0') != name.npos || secret.value.find('\0') != name.npos;
    if (is_bad) {
      throw Error(ErrorCode::invalid_argument, "invalid_secret",
                  "\"secrets\" must map names of environment variables to texts with no NUL");
    }
    if (secret.is_bound()) check_bound(name, secret);
  }
  if (net::most_of_one_host(bound_of(secrets)) > kSecretsOfHostMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_secret",
                "a host has at most " + std::to_string(kSecretsOfHostMax) +
                    " secrets, with those of *.name",
                "name fewer hosts, or take some away");
  }
}

json::Value to_json(const std::string& name, const Secret& secret) {
  json::Value shown = json::object({{"name", name}});
  if (!secret.is_bound()) return shown;
  json::Object& members = shown.as_object();
  members.set("hosts", json::Array(secret.hosts.begin(), secret.hosts.end()));
  if (!secret.header.empty()) members.set("header", secret.header);
  members.set("shell", secret.in_shell);
  return shown;
}

// ---- what a domain gets ----

Secrets Vault::Contents::environment(sandbox::DomainKind kind) const {
  const bool is_agent = kind == sandbox::DomainKind::agent;
  Secrets all;
  for (const auto& [name, secret] : secrets) {
    if (secret.is_bound() && (is_agent || secret.in_shell)) all[name] = secret.placeholder;
    if (!secret.is_bound() && is_agent) all[name] = secret.value;
  }
  if (!authority) return all;
  const std::string folder = kAgentCaFolder;
  const std::string file = is_agent ? folder + "/" + kCaName : kShellCaFile;
  all.emplace("CELLAR_CA_FILE", file);
  all.emplace("NODE_EXTRA_CA_CERTS", file);
  if (is_agent) {
    all.emplace("SSL_CERT_DIR", std::string(kSystemRoots) + ":" + folder);
  } else {
    all.emplace("SSL_CERT_FILE", kSystemBundle);
    all.emplace("REQUESTS_CA_BUNDLE", kSystemBundle);
  }
  return all;
}

std::shared_ptr<const net::Injection> Vault::Contents::injection(sandbox::DomainKind kind) const {
  const bool is_agent = kind == sandbox::DomainKind::agent;
  std::vector<net::BoundSecret> bound = bound_of(secrets);
  for (net::BoundSecret& one : bound) one.is_here = is_agent || secrets.at(one.name).in_shell;
  return std::make_shared<const net::Injection>(std::move(bound));
}

// ---- keeping ----

Vault::Vault(async::Pool& pool, const Sealer& sealer, const CellLayout& layout, std::string cell_id)
    : pool_(pool), sealer_(sealer), layout_(layout), cell_id_(std::move(cell_id)) {}

Vault::Contents Vault::read() const {
  Contents contents;
  if (const auto sealed = sys::read_file(layout_.secrets())) {
    const auto plain = sealer_.open(*sealed, cell_id_);
    if (!plain) throw_sealed();
    contents.secrets = decode_secrets(*plain);
  }
  if (const auto sealed = sys::read_file(layout_.authority())) {
    const auto plain = sealer_.open(*sealed, authority_context(cell_id_));
    if (!plain) throw_sealed();
    contents.authority =
        std::make_shared<net::TlsAuthority>(net::TlsAuthority::from_key_text(*plain));
  }
  return contents;
}

asio::awaitable<std::shared_ptr<const Vault::Contents>> Vault::open() {
  if (contents_) co_return contents_;
  auto read_all = [this] { return std::make_shared<const Contents>(read()); };
  auto contents = co_await async::offload(pool_, std::move(read_all));
  if (!contents_) contents_ = std::move(contents);
  co_return contents_;
}

asio::awaitable<std::shared_ptr<const Vault::Contents>> Vault::open_for_network() {
  auto look = [this] { return sys::exists(layout_.authority()); };
  const bool concerns = contents_ != nullptr || co_await async::offload(pool_, std::move(look));
  if (concerns) co_return co_await open();
  co_return std::make_shared<const Contents>();
}

std::function<void()> Vault::write_authority(const net::TlsAuthority& authority) const {
  return [this, key = authority.key_text(), certificate = authority.certificate(),
          name = authority.file_name()] {
    const std::string folder = layout_.trust();
    sys::make_dirs(folder, 0755);
    sys::replace_file(folder + "/" + kCaName, certificate, 0644);
    sys::replace_file(folder + "/" + name, certificate, 0644);
    sys::replace_file(layout_.authority(), sealer_.seal(key, authority_context(cell_id_)));
  };
}

asio::awaitable<void> Vault::store(SecretSet secrets) {
  Contents before;
  bool is_lost = false;
  try {
    before = *co_await open();
  } catch (const Error& error) {
    if (error.reason() != "secrets_sealed") throw;
    is_lost = true;  // All of them are replaced: that is the remedy.
  }
  bool has_bound = false;
  for (auto& [name, secret] : secrets) {
    if (!secret.is_bound()) continue;
    has_bound = true;
    const auto known = before.secrets.find(name);
    const bool is_known = known != before.secrets.end() && known->second.is_bound();
    secret.placeholder = is_known ? known->second.placeholder : net::make_placeholder();
  }
  Contents next{std::move(secrets), std::move(before.authority)};
  std::function<void()> write_first;
  if (has_bound && !next.authority) {
    next.authority = make_authority();
    write_first = write_authority(*next.authority);
  } else if (is_lost) {
    write_first = [this] { sys::remove_file(layout_.authority()); };
  }
  // The authority first: without it nobody looks for what has to be put in.
  auto write = [this, first = std::move(write_first), plain = encode(next.secrets)] {
    if (first) first();
    sys::replace_file(layout_.secrets(), sealer_.seal(plain, cell_id_));
  };
  co_await async::offload(pool_, std::move(write));
  contents_ = std::make_shared<const Contents>(std::move(next));
}

std::shared_ptr<net::TlsAuthority> Vault::make_authority() const {
  return std::make_shared<net::TlsAuthority>(net::TlsAuthority::make("Cellar " + cell_id_));
}

asio::awaitable<void> Vault::require_authority() {
  const auto contents = co_await open();
  if (contents->authority) co_return;
  Contents next{contents->secrets, make_authority()};
  auto write = write_authority(*next.authority);
  co_await async::offload(pool_, std::move(write));
  contents_ = std::make_shared<const Contents>(std::move(next));
}

std::vector<std::string> trust_command(const std::string& file_name) {
  return {"/bin/sh",           "-c",          kTrustScript, "sh",
          Vault::kShellCaFile, kSystemBundle, file_name,    kLocalRoot};
}

}  // namespace cellar::cell
