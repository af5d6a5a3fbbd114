#pragma once

#include <optional>
#include <string>

namespace cellar::net {

// For tests: TLS bytes as a client sends them.

inline std::string prefixed(std::size_t width, const std::string& bytes) {
  std::string out;
  for (std::size_t i = width; i-- > 0;) out.push_back(static_cast<char>(bytes.size() >> (8 * i)));
  return out + bytes;
}

inline std::string tls_record(const std::string& payload) {
  return std::string("\x16\x03\x01", 3) + prefixed(2, payload);
}

inline std::string tls_extension(unsigned char type, const std::string& data) {
  return std::string(1, '\0') + static_cast<char>(type) + prefixed(2, data);
}

inline std::string sni_extension(const std::string& name) {
  return tls_extension(0, prefixed(2, std::string(1, '\0') + prefixed(2, name)));
}

// The handshake message, with these extensions; none at all where nullopt.
inline std::string hello_message(const std::optional<std::string>& extensions) {
  std::string body = "\x03\x03" + std::string(32, 'r') + prefixed(1, std::string(32, 's')) +
                     prefixed(2, "\x13\x01\x13\x02") + prefixed(1, std::string(1, '\0'));
  if (extensions) body += prefixed(2, *extensions);
  return "\x01" + prefixed(3, body);
}

inline std::string client_hello(const std::string& name) {
  return tls_record(
      hello_message(tls_extension(16, "h2") + sni_extension(name) + tls_extension(43, "xyz")));
}

}  // namespace cellar::net
