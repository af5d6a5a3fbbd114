#include "net/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "base/error.h"
#include "base/text.h"
#include "net/tls_channel.h"
#include "net/tls_parts.h"

namespace cellar::net {
namespace {

constexpr int kChainMax = 16;
// Forward secrecy and no padding to guess at, where a client knows no TLS 1.3.
constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20";

[[noreturn]] void refuse_identity(const std::string& why) {
  const unsigned long code = ERR_peek_last_error();
  const char* detail = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  throw Error(ErrorCode::invalid_argument, "invalid_certificate",
              why + (detail == nullptr ? "" : std::string(" (") + detail + ")"));
}

TlsMemory reader_of(const std::string& text) {
  return TlsMemory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Without one the library would ask at the terminal.
int no_password(char*, int, int, void*) { return 0; }

WallTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1)
    refuse_identity("the certificate has a time that is none");
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string der_of(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  if (size <= 0) refuse_identity("the certificate does not encode");
  std::string der(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

// Adds those behind the first.
void add_chain(SSL_CTX* context, BIO* chain) {
  for (int count = 0;; ++count) {
    X509* next = PEM_read_bio_X509(chain, nullptr, no_password, nullptr);
    if (next == nullptr) break;
    const bool fits = count < kChainMax && SSL_CTX_add0_chain_cert(context, next) == 1;
    if (fits) continue;
    X509_free(next);
    refuse_identity("the chain does not fit: at most " + std::to_string(kChainMax) +
                    " certificates behind the first");
  }
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!is_end) refuse_identity("a certificate of the chain does not read");
  ERR_clear_error();
}

}  // namespace

TlsIdentity TlsIdentity::from_pem(const std::string& chain, const std::string& key, WallTime now) {
  ERR_clear_error();
  const TlsMemory certificates = reader_of(chain);
  const TlsCertificate first(PEM_read_bio_X509(certificates.get(), nullptr, no_password, nullptr));
  if (!first) refuse_identity("there is no certificate in PEM");
  const TlsMemory keys = reader_of(key);
  const TlsKey own(PEM_read_bio_PrivateKey(keys.get(), nullptr, no_password, nullptr));
  if (!own) refuse_identity("there is no private key in PEM without a password");
  if (X509_check_private_key(first.get(), own.get()) != 1) {
    refuse_identity("the private key is not the certificate's");
  }
  TlsIdentity identity;
  identity.valid_from_ = time_of(X509_get0_notBefore(first.get()));
  identity.expires_at_ = time_of(X509_get0_notAfter(first.get()));
  if (identity.expires_at_ <= now) {
    refuse_identity("the certificate expired at " + to_iso8601(identity.expires_at_));
  }
  identity.certificate_ = der_of(first.get());
  identity.context_ = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* context = identity.context_->native_handle();
  serve_http11(context);  // A connection asks the chosen context for its protocol, too.
  if (SSL_CTX_use_certificate(context, first.get()) != 1) {
    refuse_identity("the certificate is not good enough");
  }
  if (SSL_CTX_use_PrivateKey(context, own.get()) != 1) refuse_identity("the key is not taken");
  add_chain(context, certificates.get());
  return identity;
}

bool TlsIdentity::covers(const std::string& name) const {
  X509* certificate = SSL_CTX_get0_certificate(context_->native_handle());
  return X509_check_host(certificate, name.data(), name.size(),
                         X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

TlsIdentities::TlsIdentities(TlsIdentity base) : base_(std::move(base)) {
  SSL_CTX* context = context_.native_handle();
  serve_http11(context);
  SSL_CTX_set_cipher_list(context, kCiphers12);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A connection that only waits, as most do, has no buffers then.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_tlsext_servername_callback(context, &TlsIdentities::choose);
  SSL_CTX_set_tlsext_servername_arg(context, this);
}

void TlsIdentities::set(const std::string& name, std::optional<TlsIdentity> identity) {
  if (identity) {
    by_name_.insert_or_assign(name, std::move(*identity));
  } else {
    by_name_.erase(name);
  }
}

// Called in each handshake, whether the client names a host or not.
int TlsIdentities::choose(SSL* connection, int*, void* self) {
  const auto& identities = *static_cast<TlsIdentities*>(self);
  const char* said = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
  const TlsIdentity* chosen = &identities.base_;
  if (said != nullptr) {
    const auto found = identities.by_name_.find(to_lower_ascii(said));
    if (found != identities.by_name_.end()) chosen = &found->second;
  }
  SSL_set_SSL_CTX(connection, chosen->context_->native_handle());
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace cellar::net
