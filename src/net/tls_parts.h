#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

// Owners of OpenSSL's objects; for the sources of this module's TLS only.
namespace cellar::net {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using TlsKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using TlsCertificate = std::unique_ptr<X509, Freer<X509_free>>;
using TlsMemory = std::unique_ptr<BIO, Freer<BIO_free>>;

}  // namespace cellar::net
