#include "api/proofs.h"

#include "api/errors.h"
#include "api/preview_address.h"
#include "base/error.h"
#include "base/random.h"

namespace cellar::api {
namespace {

constexpr std::string_view kProofPath = "/.well-known/acme-challenge/";

}  // namespace

bool Proofs::takes(const http::Request& request) const {
  if (orders_ == nullptr || !request.path.starts_with(kProofPath)) return false;
  const std::string* field = request.header("host");
  const auto host = field == nullptr ? std::nullopt : host_name(*field);
  const cell::CustomDomain* domain = host ? supervisor_.find_domain(*host) : nullptr;
  return domain != nullptr && domain->is_verified;
}

asio::awaitable<void> Proofs::handle(http::Exchange& exchange) {
  std::string token = exchange.request().path.substr(kProofPath.size());
  std::optional<std::string> proof;
  if (certificates::is_challenge_token(token)) {
    proof = co_await orders_->proof(std::move(token));
  }
  http::Response response{.status = 200, .content_type = "text/plain"};
  if (proof) {
    response.body = std::move(*proof);
  } else {
    const Error none(ErrorCode::not_found, "proof_not_found", "no such proof is there");
    response = error_response(none, "req_" + random_hex(8));
  }
  co_await exchange.respond(std::move(response));
}

}  // namespace cellar::api
