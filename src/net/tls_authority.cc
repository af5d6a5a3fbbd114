#include "net/tls_authority.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl.hpp>

#include "base/error.h"
#include "net/tls_channel.h"
#include "net/tls_parts.h"
#include "net/watchdog.h"

namespace cellar::net {
namespace {

using Key = TlsKey;
using Certificate = TlsCertificate;
using Memory = TlsMemory;

constexpr long kVersion3 = 2;
constexpr int kSerialBytes = 16;
constexpr std::size_t kCommonNameMax = 64;
// Clocks of cells and daemons differ.
constexpr std::chrono::hours kBegunBefore{24};

void check(bool done, std::string_view what) {
  if (done) return;
  ERR_clear_error();
  throw Error(ErrorCode::internal, fmt::format("TLS: {} failed", what));
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "making a key");
  return key;
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  check(extension != nullptr, "an extension of a certificate");
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  check(added, "an extension of a certificate");
}

void set_serial(X509* certificate) {
  unsigned char bytes[kSerialBytes];
  check(RAND_bytes(bytes, sizeof bytes) == 1, "a serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7F) | 0x40);  // Positive, and of full length.
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool set = number != nullptr &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  check(set, "a serial number");
}

// Without extensions and signature.
Certificate begin_certificate(EVP_PKEY* key, std::string_view name, WallTime now,
                              std::chrono::hours lifetime) {
  Certificate certificate(X509_new());
  check(certificate != nullptr, "a certificate");
  const std::time_t begin = std::chrono::system_clock::to_time_t(now - kBegunBefore);
  const std::time_t end = std::chrono::system_clock::to_time_t(now + lifetime);
  X509_set_version(certificate.get(), kVersion3);
  set_serial(certificate.get());
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), begin);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), end);
  check(X509_set_pubkey(certificate.get(), key) == 1, "a certificate's key");
  const std::string common(name.substr(0, kCommonNameMax));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1,
                                   0) == 1,
        "a certificate's name");
  return certificate;
}

template <typename Write>
std::string pem_of(Write write) {
  const Memory memory(BIO_new(BIO_s_mem()));
  check(memory != nullptr && write(memory.get()) == 1, "writing PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string key_pem(EVP_PKEY* key) {
  return pem_of([&](BIO* memory) {
    return PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}
std::string certificate_pem(X509* certificate) {
  return pem_of([&](BIO* memory) { return PEM_write_bio_X509(memory, certificate); });
}

}  // namespace

struct TlsAuthority::Parts {
  Key key;
  Certificate certificate;
};

struct TlsAuthority::Host {
  asio::ssl::context context{asio::ssl::context::tls_server};
  WallTime made_at;
};

TlsAuthority::TlsAuthority(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)), certificate_(certificate_pem(parts_->certificate.get())) {}
TlsAuthority::TlsAuthority(TlsAuthority&&) noexcept = default;
TlsAuthority::~TlsAuthority() = default;

TlsAuthority TlsAuthority::make(std::string_view name) {
  auto parts = std::make_unique<Parts>();
  parts->key = make_key();
  parts->certificate = begin_certificate(parts->key.get(), name, wall_now(), kLifetime);
  X509* own = parts->certificate.get();
  check(X509_set_issuer_name(own, X509_get_subject_name(own)) == 1, "a certificate's issuer");
  add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(own, own, NID_subject_key_identifier, "hash");
  check(X509_sign(own, parts->key.get(), EVP_sha256()) > 0, "signing a certificate");
  return TlsAuthority(std::move(parts));
}

TlsAuthority TlsAuthority::from_key_text(const std::string& text) {
  auto parts = std::make_unique<Parts>();
  const Memory memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  parts->key.reset(PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
  parts->certificate.reset(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!parts->key || !parts->certificate) {
    throw Error(ErrorCode::corrupt, "the key of a cell's certificate authority does not read");
  }
  return TlsAuthority(std::move(parts));
}

std::string TlsAuthority::key_text() const { return key_pem(parts_->key.get()) + certificate_; }

std::string TlsAuthority::file_name() const {
  return fmt::format("{:08x}.0", X509_subject_name_hash(parts_->certificate.get()));
}

std::string TlsAuthority::make_host(std::string_view name, WallTime now) const {
  const Key key = make_key();
  const Certificate certificate = begin_certificate(key.get(), name, now, kHostLifetime);
  X509* own = certificate.get();
  X509* issuer = parts_->certificate.get();
  check(X509_set_issuer_name(own, X509_get_subject_name(issuer)) == 1, "a certificate's issuer");
  add_extension(own, issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(own, issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(own, issuer, NID_ext_key_usage, "serverAuth");
  add_extension(own, issuer, NID_subject_alt_name, "DNS:" + std::string(name));
  add_extension(own, issuer, NID_subject_key_identifier, "hash");
  add_extension(own, issuer, NID_authority_key_identifier, "keyid:always");
  check(X509_sign(own, parts_->key.get(), EVP_sha256()) > 0, "signing a certificate");
  return key_pem(key.get()) + certificate_pem(own);
}

const TlsAuthority::Host& TlsAuthority::host(const std::string& name) {
  const WallTime now = wall_now();
  const auto found = hosts_.find(name);
  if (found != hosts_.end() && now < found->second->made_at + kHostLifetime / 2) {
    return *found->second;
  }
  if (hosts_.size() >= kHostsMax) hosts_.clear();
  auto host = std::make_unique<Host>();
  host->made_at = now;
  const std::string text = make_host(name, now);
  host->context.use_private_key(asio::buffer(text), asio::ssl::context::pem);
  host->context.use_certificate(asio::buffer(text), asio::ssl::context::pem);
  serve_http11(host->context.native_handle());
  return *(hosts_[name] = std::move(host));
}

std::optional<Why> TlsAuthority::why_refused(const boost::system::error_code& error) {
  if (error.category() != asio::error::get_ssl_category()) return std::nullopt;
  switch (ERR_GET_REASON(static_cast<unsigned long>(error.value()))) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return Why::distrusted;
    default:
      return Why::tls_failed;
  }
}

asio::awaitable<std::unique_ptr<Channel>> TlsAuthority::accept(Tcp::socket socket,
                                                               std::string already_read,
                                                               std::string name,
                                                               std::chrono::milliseconds limit) {
  // The context of a connection is counted by OpenSSL: it may leave hosts_ meanwhile.
  auto& context = const_cast<asio::ssl::context&>(host(name).context);
  auto stream = std::make_unique<TlsStream>(std::move(socket), context);
  co_await shake_hands(*stream, asio::ssl::stream_base::server, std::move(already_read), limit);
  co_return tls_channel(std::move(stream));
}

}  // namespace cellar::net
