#include "cli/client.h"

#include <curl/curl.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"

namespace cellar::cli {
namespace {

constexpr long kConnectTimeoutMs = 10'000;

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void add_header(HeaderList& list, const std::string& header) {
  curl_slist* longer = curl_slist_append(list.get(), header.c_str());
  CELLAR_CHECK(longer != nullptr);
  list.release();
  list.reset(longer);
}

// What the environment says, and never a proxy for this machine.
std::string hosts_without_proxy() {
  std::string hosts = "localhost,127.0.0.1,::1";
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) hosts.append(",").append(value);
  }
  return hosts;
}

// The roots that servers may have, where the environment names a file, as for curl(1).
void set_roots(CURL* easy) {
  const char* file = std::getenv("SSL_CERT_FILE");
  if (file != nullptr && *file != '\0') curl_easy_setopt(easy, CURLOPT_CAINFO, file);
}

// What libcurl says of "http://" names no option, and no address.
void require_host(const std::string& url) {
  const std::size_t scheme_end = url.find("://");
  const std::size_t host = scheme_end == url.npos ? 0 : scheme_end + 3;
  if (host < url.size() && url.find_first_of("/:?#", host) != host) return;
  throw Error(ErrorCode::invalid_argument, "invalid_url",
              "the address \"" + url + "\" of the daemon names no host",
              "give it with --url or CELLAR_URL, such as http://127.0.0.1:4750");
}

[[noreturn]] void throw_curl(CURLcode code, const char* detail, const std::string& url) {
  const std::string text = *detail != '\0' ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      throw Error(ErrorCode::invalid_argument, "invalid_url", url + ": " + text);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      throw Error(ErrorCode::unavailable, "connection_lost",
                  "the connection to " + url + " was lost: " + text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      throw Error(ErrorCode::unavailable, "daemon_unreachable", "cannot reach " + url + ": " + text,
                  "is that its name? SSL_CERT_FILE names a PEM file of the roots that it may have");
    default:
      throw Error(ErrorCode::unavailable, "daemon_unreachable", "cannot reach " + url + ": " + text,
                  "is cellard running there? --url or CELLAR_URL say where it is");
  }
}

}  // namespace

struct Client::Handles {
  CURL* easy = curl_easy_init();
  CURLM* multi = curl_multi_init();

  Handles() { CELLAR_CHECK(easy != nullptr && multi != nullptr); }
  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
};

// One request on its way. curl is C: an exception of ours waits in `failure` until it has returned.
struct Client::Transfer {
  CURL* easy = nullptr;
  const OnBytes* on_bytes = nullptr;
  Response response;
  File upload;
  std::function<std::string()> source;
  std::string piece;  // of the source
  std::size_t piece_at = 0;
  std::exception_ptr failure;
  bool is_stopped = false;
  bool has_moved = false;  // since the last look

  static std::size_t on_head(char* line, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.has_moved = true;
    if (std::string_view(line, size * count) == "\r\n") transfer.read_head();
    return size * count;
  }

  static std::size_t on_body(char* bytes, std::size_t, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    try {
      transfer.take({bytes, count});
    } catch (...) {
      transfer.failure = std::current_exception();
    }
    return transfer.failure || transfer.is_stopped ? 0 : count;  // Less than `count` ends it.
  }

  static std::size_t on_read(char* into, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.has_moved = true;
    const std::size_t read = std::fread(into, size, count, transfer.upload.get());
    return std::ferror(transfer.upload.get()) != 0 ? CURL_READFUNC_ABORT : read;
  }

  static std::size_t on_source(char* into, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.has_moved = true;
    try {
      if (transfer.piece_at == transfer.piece.size()) {
        transfer.piece = transfer.source();
        transfer.piece_at = 0;
      }
      const std::size_t copied = transfer.piece.copy(into, size * count, transfer.piece_at);
      transfer.piece_at += copied;
      return copied;
    } catch (...) {
      transfer.failure = std::current_exception();
      return CURL_READFUNC_ABORT;
    }
  }

  void read_head() {
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &response.status);
    const char* type = nullptr;
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    const std::string_view text = type == nullptr ? "" : type;
    response.content_type = to_lower_ascii(trim(text.substr(0, text.find(';'))));
    curl_header* run = nullptr;
    const CURLHcode found = curl_easy_header(easy, "X-Cellar-Run", 0, CURLH_HEADER, -1, &run);
    response.run_id = found == CURLHE_OK ? run->value : "";
  }

  // Where the path that was asked for is, too.
  void read_redirect(const std::string& path) {
    const char* address = nullptr;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &address);
    response.moved_to = address == nullptr ? "" : address;
    if (response.moved_to.ends_with(path)) {
      response.moved_to.resize(response.moved_to.size() - path.size());
    }
  }

  void take(std::string_view bytes) {
    has_moved = true;
    if (on_bytes != nullptr && response.is_success()) {
      is_stopped = (*on_bytes)(response, bytes) == Flow::stop;
      return;
    }
    if (response.body.size() + bytes.size() > kBodyBytesMax) {
      throw Error(ErrorCode::too_large,
                  "the daemon's answer is larger than " + std::to_string(kBodyBytesMax) + " bytes");
    }
    response.body.append(bytes);
  }

  void set_body(const Request& request) {
    if (!request.body_file.empty()) {
      upload.reset(std::fopen(request.body_file.c_str(), "rbe"));
      if (!upload) throw_errno("open", request.body_file);
      std::fseek(upload.get(), 0, SEEK_END);
      const long size = std::ftell(upload.get());
      std::rewind(upload.get());
      curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(easy, CURLOPT_READFUNCTION, &on_read);
      curl_easy_setopt(easy, CURLOPT_READDATA, this);
      curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t{size});
    } else if (request.body_source) {
      source = request.body_source;
      curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
      curl_easy_setopt(easy, CURLOPT_READFUNCTION, &on_source);
      curl_easy_setopt(easy, CURLOPT_READDATA, this);
    } else if (request.body) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.body->size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body->data());
    } else if (request.method == "POST" || request.method == "PUT") {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t{0});
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  // Until the end, or until nothing came for `idle_max` after the head, or `ended`: nullopt then.
  std::optional<CURLcode> perform(CURLM* multi, std::chrono::milliseconds idle_max,
                                  const std::atomic<bool>& ended) {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kPollMax{1000};
    auto last_move = Clock::now();
    for (;;) {
      int running = 0;
      CELLAR_CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
      int left = 0;
      const CURLMsg* message = curl_multi_info_read(multi, &left);
      if (message != nullptr) return message->data.result;
      if (ended) return std::nullopt;
      if (std::exchange(has_moved, false)) last_move = Clock::now();
      auto pause = kPollMax;
      if (idle_max.count() > 0 && response.status != 0) {
        const auto rest = last_move + idle_max - Clock::now();
        if (rest.count() <= 0) return std::nullopt;
        pause = std::min(pause, std::chrono::ceil<std::chrono::milliseconds>(rest));
      }
      curl_multi_poll(multi, nullptr, 0, static_cast<int>(pause.count()), nullptr);
    }
  }
};

void Client::end() noexcept {
  ended_ = true;
  curl_multi_wakeup(handles_->multi);
}

Client::Client(std::string url, const std::string& api_key) : url_(std::move(url)) {
  require_host(url_);
  if (url_.find("://") == url_.npos) url_ = "http://" + url_;
  while (url_.ends_with('/')) url_.pop_back();
  for (const char c : api_key) {
    if (c > ' ' && c < 0x7f) continue;
    throw Error(ErrorCode::unauthenticated, "invalid_key",
                "the API key holds a character that no key has",
                "give your key with --api-key or CELLAR_API_KEY");
  }
  if (!api_key.empty()) authorization_ = "Authorization: Bearer " + api_key;
  handles_ = std::make_unique<Handles>();
}

Client::~Client() = default;

Response Client::send(const Request& request) { return stream(request, OnBytes()); }

Response Client::stream(const Request& request, const OnBytes& on_bytes) {
  Transfer transfer;
  CURL* easy = transfer.easy = handles_->easy;
  if (on_bytes) transfer.on_bytes = &on_bytes;
  curl_easy_reset(easy);  // Keeps the connection.

  HeaderList headers;
  add_header(headers, "Expect:");  // No round trip before a large body.
  if (!authorization_.empty()) add_header(headers, authorization_);
  for (const std::string& header : request.headers) add_header(headers, header);
  if (!request.body) add_header(headers, "Content-Type:");
  const std::string url = url_ + request.path;
  const std::string direct = hosts_without_proxy();
  char detail[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  set_roots(easy);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, direct.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);  // SIGPIPE of our own output stays ours.
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  transfer.set_body(request);

  CELLAR_CHECK(curl_multi_add_handle(handles_->multi, easy) == CURLM_OK);
  const std::optional<CURLcode> result =
      transfer.perform(handles_->multi, request.idle_max, ended_);
  transfer.read_redirect(request.path);
  curl_multi_remove_handle(handles_->multi, easy);

  if (transfer.failure) std::rethrow_exception(transfer.failure);
  transfer.response.is_idle = !result;
  if (result && *result != CURLE_OK && !transfer.is_stopped) throw_curl(*result, detail, url_);
  return std::move(transfer.response);
}

}  // namespace cellar::cli
