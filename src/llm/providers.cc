#include "llm/providers.h"

#include <algorithm>

#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::llm {
namespace {

constexpr std::size_t kKeyBytesMax = 8 << 10;
constexpr std::size_t kProviderNameMax = 64;

[[noreturn]] void refuse_file(const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "invalid_llm_file", why,
              "see docs/guide/llm.md for what --llm names");
}

bool is_provider_name(std::string_view name) {
  return !name.empty() && name.size() <= kProviderNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

// Goes into a header as it is.
void check_key(const std::string& key) {
  const bool is_plain = std::all_of(key.begin(), key.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7f;
  });
  if (key.empty() || key.size() > kKeyBytesMax || !is_plain) {
    refuse_file("its key must be one line of printable characters, at most " +
                std::to_string(kKeyBytesMax));
  }
}

Provider read_provider(const json::Value& value, const GetKey& get_key) {
  const json::Reader reader(value, "a provider");
  Provider provider;
  provider.name = reader.required_string("name");
  if (!is_provider_name(provider.name)) {
    json::Reader::refuse("name", "1 to 64 of a-z, 0-9, \"-\" and \"_\"");
  }
  const std::string kind = reader.required_string("kind");
  if (kind != "openai" && kind != "anthropic") {
    json::Reader::refuse("kind", "\"openai\" or \"anthropic\"");
  }
  provider.kind = kind == "openai" ? Kind::openai : Kind::anthropic;
  const auto url = net::parse_http_url(reader.required_string("base_url"));
  if (!url) json::Reader::refuse("base_url", "a URL like \"https://api.example.com/v1\"");
  if (!url->by_tls && !url->is_loopback()) {
    json::Reader::refuse("base_url", "https://, unless it names this machine's own loopback");
  }
  provider.url = *url;
  const auto key_file = reader.optional_string("key_file");
  const auto key_env = reader.optional_string("key_env");
  if (key_file && key_env) refuse_file("\"key_file\" and \"key_env\" are two keys, it takes one");
  if (key_file || key_env) {
    provider.key = get_key(key_file.value_or(""), key_env.value_or(""));
    check_key(provider.key);
  }
  provider.models =
      reader.optional_strings("models", kModelsMax).value_or(std::vector<std::string>());
  provider.default_model = reader.optional_string("default_model").value_or("");
  if (!provider.default_model.empty() && !provider.has(provider.default_model)) {
    json::Reader::refuse("default_model", "one of \"models\"");
  }
  reader.refuse_unknown();
  return provider;
}

}  // namespace

bool Provider::has(std::string_view model) const {
  const auto fits = [model](const std::string& pattern) {
    if (!pattern.ends_with('*')) return model == pattern;
    return model.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
  };
  return models.empty() || std::any_of(models.begin(), models.end(), fits);
}

std::string_view name_of(Budget::Per per) noexcept {
  return per == Budget::Per::run ? "run" : "cell";
}

json::Value to_json(const Budget& budget) {
  return json::object({{"tokens", budget.tokens}, {"per", name_of(budget.per)}});
}

Budget read_budget(const json::Value& value) {
  const json::Reader reader(value, "\"budget\"");
  Budget budget;
  budget.tokens = static_cast<std::uint64_t>(reader.required_int("tokens", 0, kBudgetMax));
  const std::string per = reader.optional_string("per").value_or("cell");
  if (per != "run" && per != "cell") json::Reader::refuse("per", "\"run\" or \"cell\"");
  budget.per = per == "run" ? Budget::Per::run : Budget::Per::cell;
  reader.refuse_unknown();
  return budget;
}

Settings read_settings(const std::string& text, const GetKey& get_key) {
  std::string provider_name;
  try {
    const json::Value value = json::parse(text);
    const json::Reader reader(value, "the file");
    Settings settings;
    const json::Value& list = reader.required_value("providers");
    if (!list.is_array() || list.as_array().empty() || list.as_array().size() > kProvidersMax) {
      json::Reader::refuse("providers", "a list of 1 to " + std::to_string(kProvidersMax));
    }
    for (const json::Value& entry : list.as_array()) {
      const json::Value* name = entry.find("name");
      provider_name = name != nullptr && name->is_string() ? name->as_string() : "";
      Provider provider = read_provider(entry, get_key);
      const auto is_same = [&](const Provider& other) { return other.name == provider.name; };
      if (std::any_of(settings.providers.begin(), settings.providers.end(), is_same)) {
        refuse_file("two providers have this name");
      }
      settings.providers.push_back(std::move(provider));
    }
    provider_name.clear();
    if (const json::Value* budget = reader.optional_value("budget")) {
      settings.budget = read_budget(*budget);
    }
    reader.refuse_unknown();
    return settings;
  } catch (const Error& error) {
    const std::string place = provider_name.empty() ? "" : "provider \"" + provider_name + "\": ";
    refuse_file(place + error.what());
  }
}

Choice choose(const Settings& settings, const std::string& provider, const std::string& model) {
  bool is_known = provider.empty();
  for (const Provider& each : settings.providers) {
    if (!provider.empty() && each.name != provider) continue;
    is_known = true;
    const std::string& name = model.empty() ? each.default_model : model;
    if (!name.empty() && each.has(name)) return {&each, name};
  }
  if (!is_known) {
    throw Error(ErrorCode::invalid_argument, "llm_unknown_provider",
                "ctx.llm.chat: this daemon knows no provider \"" + provider + "\"");
  }
  throw Error(ErrorCode::invalid_argument, "llm_unknown_model",
              model.empty()
                  ? "ctx.llm.chat: name a \"model\": this daemon has no default"
                  : "ctx.llm.chat: this daemon knows no provider of the model \"" + model + "\"",
              "its operator lists models in the file of --llm");
}

}  // namespace cellar::llm
