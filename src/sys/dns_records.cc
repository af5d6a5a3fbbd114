#include "sys/dns_records.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include <array>
#include <functional>

#include "base/error.h"
#include "base/port.h"
#include "base/text.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kDnsAnswerMax = 16 << 10;
constexpr int kSecondsATry = 2;
constexpr int kTries = 2;
constexpr std::size_t kRecordsMax = 64;

// A resolver's state, for one thread.
class Resolver {
 public:
  explicit Resolver(const NameServer& server) {
    if (::res_ninit(&state_) != 0) throw_errno("res_ninit");
    state_.retrans = kSecondsATry;
    state_.retry = kTries;
    if (server.empty()) return;
    const std::size_t colon = server.rfind(':');
    const auto port = colon == server.npos ? std::nullopt : parse_port(server.substr(colon + 1));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const bool is_address =
        ::inet_pton(AF_INET, server.substr(0, colon).c_str(), &address.sin_addr) == 1;
    if (!is_address || !port) {
      ::res_nclose(&state_);
      throw Error(ErrorCode::invalid_argument, "invalid_name_server",
                  "\"" + server + "\" is no ADDRESS:PORT of a name server");
    }
    address.sin_port = htons(*port);
    state_.nscount = 1;
    state_.nsaddr_list[0] = address;
  }
  ~Resolver() { ::res_nclose(&state_); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The answer's bytes; empty where the name, or such a record of it, is not there.
  std::string ask(const std::string& name, int type) {
    std::string answer(kDnsAnswerMax, '\0');
    const int size = ::res_nquery(&state_, name.c_str(), C_IN, type,
                                  reinterpret_cast<unsigned char*>(answer.data()),
                                  static_cast<int>(answer.size()));
    if (size < 0) {
      if (state_.res_h_errno == HOST_NOT_FOUND || state_.res_h_errno == NO_DATA) return {};
      throw Error(ErrorCode::unavailable, "dns_failed",
                  "no name server answers what " + name + " is", "try again later");
    }
    answer.resize(std::min(static_cast<std::size_t>(size), answer.size()));
    return answer;
  }

 private:
  struct __res_state state_{};
};

// Reads numbers and names of a message; never past its end.
class DnsMessage {
 public:
  explicit DnsMessage(const std::string& bytes) : bytes_(bytes) {}
  bool ok() const noexcept { return ok_; }
  std::size_t at() const noexcept { return at_; }

  std::uint32_t number(std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      if (at_ >= bytes_.size()) ok_ = false;
      value = (value << 8) | (ok_ ? static_cast<unsigned char>(bytes_[at_++]) : 0U);
    }
    return value;
  }
  void skip(std::size_t size) {
    if (size > bytes_.size() - at_) ok_ = false;
    at_ = ok_ ? at_ + size : bytes_.size();
  }
  std::string name_at(std::size_t place, std::size_t* size) const {
    std::array<char, NS_MAXDNAME> name{};
    const auto* start = reinterpret_cast<const unsigned char*>(bytes_.data());
    const int length = ::dn_expand(start, start + bytes_.size(), start + place, name.data(),
                                   static_cast<int>(name.size()));
    if (length < 0) return {};
    if (size != nullptr) *size = static_cast<std::size_t>(length);
    return to_lower_ascii(name.data());
  }
  void skip_name() {
    std::size_t size = 0;
    if (at_ >= bytes_.size()) ok_ = false;
    if (ok_) name_at(at_, &size);
    if (size == 0) ok_ = false;
    skip(size);
  }

 private:
  const std::string& bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// Calls `take` for each record of the type, with where its data is.
void for_each_record(const std::string& answer, int type,
                     const std::function<void(const DnsMessage&, std::size_t, std::size_t)>& take) {
  DnsMessage message(answer);
  message.skip(4);
  const std::uint32_t questions = message.number(2);
  const std::uint32_t answers = message.number(2);
  message.skip(4);
  for (std::uint32_t i = 0; i < questions && message.ok(); ++i) {
    message.skip_name();
    message.skip(4);
  }
  for (std::uint32_t i = 0; i < answers && i < kRecordsMax && message.ok(); ++i) {
    message.skip_name();
    const auto is = static_cast<int>(message.number(2));
    message.skip(6);
    const std::size_t size = message.number(2);
    const std::size_t at = message.at();
    message.skip(size);
    if (message.ok() && is == type) take(message, at, size);
  }
}

}  // namespace

std::vector<std::string> txt_records(const std::string& name, const NameServer& server) {
  const std::string answer = Resolver(server).ask(name, ns_t_txt);
  std::vector<std::string> records;
  for_each_record(answer, ns_t_txt, [&](const DnsMessage&, std::size_t at, std::size_t size) {
    std::string text;  // Of pieces of 255 bytes at most.
    for (const std::size_t end = at + size; at < end;) {
      const std::size_t length = static_cast<unsigned char>(answer[at]);
      text += answer.substr(at + 1, std::min(length, end - at - 1));
      at += 1 + length;
    }
    records.push_back(std::move(text));
  });
  return records;
}

std::optional<std::string> cname_of(const std::string& name, const NameServer& server) {
  const std::string answer = Resolver(server).ask(name, ns_t_cname);
  std::optional<std::string> target;
  for_each_record(answer, ns_t_cname, [&](const DnsMessage& message, std::size_t at, std::size_t) {
    if (!target) target = message.name_at(at, nullptr);
  });
  return target;
}

}  // namespace cellar::sys
