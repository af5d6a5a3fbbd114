#include "sys/service_manager.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sys/fd.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

struct ServiceManager {
  Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)};

  explicit ServiceManager(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceManager() { ::unsetenv("NOTIFY_SOCKET"); }

  std::string heard() const {
    std::array<char, 64> bytes{};
    const ssize_t size = ::recv(socket.get(), bytes.data(), bytes.size(), 0);
    return size < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(size));
  }
};

}  // namespace

TEST_CASE("a service manager hears what it is told, and nobody needs one") {
  const testing::TempDir dir;
  tell_service_manager("READY=1");
  const ServiceManager manager(dir.file("notify"));
  CHECK(manager.heard() == "nothing");
  tell_service_manager("READY=1");
  CHECK(manager.heard() == "READY=1");
  ::setenv("NOTIFY_SOCKET", dir.file("nobody").c_str(), 1);
  tell_service_manager("READY=1");
  ::setenv("NOTIFY_SOCKET", std::string(300, 'x').c_str(), 1);
  tell_service_manager("READY=1");
  CHECK(manager.heard() == "nothing");
}

}  // namespace cellar::sys
