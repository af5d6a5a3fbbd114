#include "net/tls_client.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl.hpp>

#include "base/error.h"
#include "net/tls_channel.h"

namespace cellar::net {
namespace {

constexpr unsigned char kOffered[] = "\x08http/1.1";

}  // namespace

struct TlsClient::Context {
  asio::ssl::context context{asio::ssl::context::tls_client};
};

TlsClient::TlsClient(const std::string& more_roots_file) : context_(std::make_unique<Context>()) {
  asio::ssl::context& context = context_->context;
  boost::system::error_code error;
  context.set_default_verify_paths(error);
  if (!more_roots_file.empty()) context.load_verify_file(more_roots_file, error);
  if (error) {
    throw Error(ErrorCode::invalid_argument, "invalid_egress_ca",
                more_roots_file + ": " + error.message(),
                "--egress-ca names a PEM file of certificates that cellard can read");
  }
  context.set_verify_mode(asio::ssl::verify_peer);
  SSL_CTX* handle = context.native_handle();
  SSL_CTX_set_min_proto_version(handle, TLS1_2_VERSION);
  SSL_CTX_set_alpn_protos(handle, kOffered, sizeof kOffered - 1);
}

TlsClient::~TlsClient() = default;

asio::awaitable<std::variant<std::unique_ptr<Channel>, TlsClient::Distrust>> TlsClient::connect(
    Tcp::socket socket, std::string name, std::chrono::milliseconds limit) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), context_->context);
  SSL* handle = stream->native_handle();
  SSL_set_hostflags(handle,
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const bool is_set = SSL_set1_host(handle, name.c_str()) == 1 &&
                      SSL_set_tlsext_host_name(handle, name.c_str()) == 1;
  if (!is_set) throw Error(ErrorCode::internal, "TLS: the host's name was not taken");
  std::exception_ptr failure;
  try {
    co_await shake_hands(*stream, asio::ssl::stream_base::client, "", limit);
  } catch (const boost::system::system_error&) {
    failure = std::current_exception();
  }
  const long verdict = SSL_get_verify_result(handle);
  if (verdict != X509_V_OK) co_return Distrust{X509_verify_cert_error_string(verdict)};
  if (failure) std::rethrow_exception(failure);
  co_return tls_channel(std::move(stream));
}

}  // namespace cellar::net
