#include "llm/providers.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"

namespace cellar::llm {
namespace {

std::string key_of(const std::string& file, const std::string& env) { return "key-" + file + env; }

Settings settings_of(const std::string& text) { return read_settings(text, key_of); }

std::string refused_file(const std::string& text) {
  try {
    settings_of(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "taken";
}

std::string chosen(const Settings& settings, const std::string& provider,
                   const std::string& model) {
  try {
    const Choice choice = choose(settings, provider, model);
    return choice.provider->name + "/" + choice.model;
  } catch (const Error& error) {
    return error.reason();
  }
}

constexpr const char* kFile = R"({"budget": {"tokens": 9, "per": "run"}, "providers": [
  {"name": "one", "kind": "openai", "base_url": "https://one.example/v1", "key_file": "f",
   "models": ["small-*", "big-1"], "default_model": "small-1"},
  {"name": "two", "kind": "anthropic", "base_url": "http://127.0.0.1:9/v1"}]})";

}  // namespace

TEST_CASE("the file names providers, and a model finds its own") {
  const Settings settings = settings_of(kFile);
  CHECK(settings.budget == Budget{9, Budget::Per::run});
  CHECK(settings.providers.at(0).key == "key-f");
  CHECK(settings.providers.at(1).key.empty());
  CHECK(chosen(settings, "", "") == "one/small-1");
  CHECK(chosen(settings, "", "small-9") == "one/small-9");
  CHECK(chosen(settings, "", "big-1") == "one/big-1");
  CHECK(chosen(settings, "", "big-12") == "two/big-12");
  CHECK(chosen(settings, "two", "small-1") == "two/small-1");
  CHECK(chosen(settings, "one", "other") == "llm_unknown_model");
  CHECK(chosen(settings, "two", "") == "llm_unknown_model");
  CHECK(chosen(settings, "three", "") == "llm_unknown_provider");
}

TEST_CASE("what is wrong in the file is named") {
  const auto with = [](const std::string& more) {
    return R"({"providers": [{"name": "one", "kind": "openai", )" + more + "}]}";
  };
  CHECK(refused_file("{}").find("\"providers\"") != std::string::npos);
  CHECK(refused_file(R"({"providers": []})").find("\"providers\"") != std::string::npos);
  CHECK(refused_file(with(R"("base_url": "http://one.example")")) ==
        "provider \"one\": \"base_url\" must be https://, unless it names this machine's own "
        "loopback");
  CHECK(refused_file(with(R"("base_url": "one.example")")).find("\"base_url\"") !=
        std::string::npos);
  CHECK(refused_file(with(R"("base_url": "https://a.example", "key": "x")")).find("key") !=
        std::string::npos);
  CHECK(refused_file(with(R"("base_url": "https://a.example", "key_file": "a", "key_env": "b")"))
            .find("two keys") != std::string::npos);
  CHECK(refused_file(with(R"("base_url": "https://a.example", "key_file": "a\nb")"))
            .find("one line") != std::string::npos);
  CHECK(refused_file(
            with(R"("base_url": "https://a.example", "models": ["a"], "default_model": "b")"))
            .find("default_model") != std::string::npos);
  const std::string one = R"({"name": "o", "kind": "openai", "base_url": "https://a.example"})";
  CHECK(refused_file(R"({"providers": [)" + one + "," + one + "]}").find("two providers") !=
        std::string::npos);
  std::string many = one;
  for (std::size_t at = 0; at < kProvidersMax; ++at) many += "," + one;
  CHECK(refused_file(R"({"providers": [)" + many + "]}").find("\"providers\"") !=
        std::string::npos);
  CHECK_THROWS_AS(read_budget(json::parse(R"({"tokens": -1})")), Error);
  CHECK_THROWS_AS(read_budget(json::parse(R"({"tokens": 1, "per": "day"})")), Error);
  CHECK_THROWS_AS(read_budget(json::parse(R"({"token": 1})")), Error);
}

}  // namespace cellar::llm
