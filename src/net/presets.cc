#include "net/presets.h"

#include "base/error.h"

namespace cellar::net {

const std::vector<Preset>& presets() {
  static const std::vector<Preset> kPresets = {
      // Packages of npm, yarn and pnpm; the headers of Node.js, which native modules are built
      // with.
      {"npm", {"registry.npmjs.org", "registry.yarnpkg.com", "nodejs.org"}},
      {"pypi", {"pypi.org", "files.pythonhosted.org"}},
      {"debian",
       {"deb.debian.org", "security.debian.org", "ftp.debian.org", "cdn-fastly.deb.debian.org"}},
      // Clones over HTTPS and SSH, archives, releases and their files, packages, the API.
      {"github",
       {"github.com", "github.com:22", "ssh.github.com", "api.github.com", "codeload.github.com",
        "uploads.github.com", "*.githubusercontent.com", "ghcr.io", "npm.pkg.github.com"}},
      {"llm",
       {"api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com",
        "api.mistral.ai", "api.cohere.com", "api.deepseek.com", "api.groq.com", "api.together.xyz",
        "api.x.ai", "openrouter.ai"}},
  };
  return kPresets;
}

const Preset& preset_of(std::string_view name) {
  std::string names;
  for (const Preset& preset : presets()) {
    if (preset.name == name) return preset;
    names += (names.empty() ? "" : ", ") + std::string(preset.name);
  }
  throw Error(ErrorCode::invalid_argument, "invalid_preset",
              "there is no preset \"" + std::string(name) + "\"", "presets are " + names);
}

}  // namespace cellar::net
