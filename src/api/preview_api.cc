// How a preview is shared: its settings, and signed links to it.

#include "api/api.h"
#include "api/views.h"
#include "base/error.h"
#include "json/reader.h"

namespace cellar::api {
namespace {

constexpr std::int64_t kLinkExpiryDefaultS = 3600;

std::optional<std::uint16_t> port_in(const json::Reader& body, std::int64_t min) {
  const auto port = body.optional_int("port", min, 65535);
  if (!port) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

asio::awaitable<void> make_link(const Call& call, const PreviewDomain& domain,
                                const PreviewSigner& signer) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  const auto port = port_in(body, 1);
  const std::int64_t seconds =
      body.optional_int("expires_in_s", 1, PreviewSigner::kExpiryMax.count())
          .value_or(kLinkExpiryDefaultS);
  body.refuse_unknown();
  const cell::CellSpec& spec = cell->spec();
  // In whole seconds, as the token has it.
  const WallTime expiry =
      std::chrono::ceil<std::chrono::seconds>(wall_now() + std::chrono::seconds(seconds));
  const std::string token = signer.sign({spec.cell_id, spec.created_at}, port, expiry);
  std::string url = preview_url(domain, spec.cell_id, port);
  if (!domain.is_set()) {  // Where the client reached us, others do.
    const std::string* host = call.exchange.request().header("host");
    const std::string scheme = call.exchange.is_encrypted() ? "https://" : "http://";
    if (host != nullptr) url = scheme + *host + url;
  }
  url += "?" + std::string(kPreviewToken) + "=" + token;
  json::Value link = json::object({{"url", url}, {"expires_at", to_iso8601(expiry)}});
  co_await call.answer(std::move(link), 201);
}

asio::awaitable<void> set_preview(const Call& call, const PreviewDomain& domain) {
  const auto cell = call.cell();
  const json::Value value = co_await call.body(kSmallBodyMax);
  const json::Reader body(value, "the body");
  cell::CellSettings settings;
  if (const auto access = body.optional_string("access")) {
    settings.preview_access = cell::parse_preview_access(*access);
  }
  settings.preview_port = port_in(body, 0);
  body.refuse_unknown();
  co_await cell->apply(std::move(settings));
  co_await call.answer(cell_json(cell->view(), domain));
}

}  // namespace

std::vector<Route> preview_routes(const PreviewDomain& domain, const PreviewSigner& signer) {
  return {{"POST", "/api/v1/cells/{id}/preview-links",
           [&domain, &signer](const Call& call) { return make_link(call, domain, signer); },
           std::nullopt, Tokens::refused},
          {"POST", "/api/v1/cells/{id}/preview",
           [&domain](const Call& call) { return set_preview(call, domain); }, std::nullopt,
           Tokens::refused}};
}

}  // namespace cellar::api
