#include "sys/own_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "sys/call.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kTextMax = 4096;

[[noreturn]] void refuse(const std::string& what, const std::string& remedy) {
  throw Error(ErrorCode::unavailable, "no_own_ids", what, remedy);
}

std::uint32_t require_range(const std::string& path, const std::string& user) {
  const auto first = find_own_ids(read_file(path).value_or(""), user, std::to_string(::geteuid()));
  if (first) return *first;
  refuse(path + " gives " + user + " no range of " + std::to_string(kOwnIds) + " ids",
         "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + user);
}

std::uint32_t require_mapped(const std::string& path) {
  const auto first = find_mapped(read_file(path).value_or(""), 1);
  if (first) return *first;
  throw Error(ErrorCode::internal, "no_own_ids", path + " maps no range of ids");
}

// What newuidmap and newgidmap are told: id inside, id outside, count.
std::vector<std::string> map_arguments(pid_t pid, std::uint32_t own, std::uint32_t first,
                                       Numbers numbers) {
  const std::string count = std::to_string(kOwnIds);
  const bool is_first = numbers == Numbers::user_first;
  return {std::to_string(pid),
          is_first ? "0" : count,
          std::to_string(own),
          "1",
          is_first ? "1" : "0",
          std::to_string(first),
          count};
}

// In a child, which is still outside of the namespace that its parent has entered by then.
std::string map_parent(pid_t parent, const OwnIds& ids, Numbers numbers) {
  try {
    run_program("newuidmap", map_arguments(parent, ::geteuid(), ids.first_user, numbers));
    run_program("newgidmap", map_arguments(parent, ::getegid(), ids.first_group, numbers));
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

// All other groups of the user's are given up: in a namespace they could only be a way around what
// is refused to them.
void become_root() {
  if (::setgroups(0, nullptr) == -1) throw_errno("setgroups");
  if (::setresgid(0, 0, 0) == -1) throw_errno("setresgid");
  if (::setresuid(0, 0, 0) == -1) throw_errno("setresuid");
}

void unshare_mounts() {
  if (::unshare(CLONE_NEWNS) == -1) throw_errno("unshare", "mount namespace");
}

}  // namespace

std::optional<std::uint32_t> find_own_ids(std::string_view text, std::string_view user,
                                          std::string_view uid) {
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 3 || (fields[0] != user && fields[0] != uid)) continue;
    const auto first = parse_int(fields[1]);
    const auto count = parse_int(trim(fields[2]));
    if (!first || !count || *first <= 0 || *count < kOwnIds) continue;
    if (*first + std::int64_t{kOwnIds} > UINT32_MAX) continue;
    return static_cast<std::uint32_t>(*first);
  }
  return std::nullopt;
}

OwnIds own_ids() {
  const passwd* entry = ::getpwuid(::geteuid());
  if (entry == nullptr) {
    refuse("uid " + std::to_string(::geteuid()) + " has no name in /etc/passwd",
           "use a user that has one");
  }
  const std::string user = entry->pw_name;
  for (const char* program : {"newuidmap", "newgidmap"}) {
    if (!has_program(program)) {
      refuse(std::string(program) + " is not installed", "apt-get install uidmap");
    }
  }
  return {require_range("/etc/subuid", user), require_range("/etc/subgid", user)};
}

void enter_own_namespace(Numbers numbers) {
  const OwnIds ids = own_ids();
  Pipe entered = make_pipe();
  Pipe answer = make_pipe();
  const pid_t parent = ::getpid();
  const pid_t mapper = ::fork();
  if (mapper == -1) throw_errno("fork");
  if (mapper == 0) {
    entered.write_end.reset();
    char byte = 0;
    if (::read(entered.read_end.get(), &byte, 1) != 1) ::_exit(0);
    const std::string failure = map_parent(parent, ids, numbers);
    (void)!::write(answer.write_end.get(), failure.data(), failure.size());
    ::_exit(0);
  }
  answer.write_end.reset();
  const int made = ::unshare(CLONE_NEWUSER);
  const int error = errno;
  if (made == 0) write_all(entered.write_end.get(), "x", "pipe");
  entered.write_end.reset();
  const std::string failure = read_all(answer.read_end.get(), kTextMax, "newuidmap's answer");
  wait_program(mapper);
  if (made == -1) throw_errno_value(error, "unshare", "user namespace");
  if (!failure.empty()) refuse(failure, "see newuidmap(1)");
  become_root();
  unshare_mounts();
}

void enter_namespace_above(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/user";
  const Fd below = open_file(path, O_RDONLY);
  const Fd above(::ioctl(below.get(), NS_GET_PARENT));
  if (!above) throw_errno("ioctl NS_GET_PARENT", path);
  if (::setns(above.get(), CLONE_NEWUSER) == -1) throw_errno("setns", "above " + path);
  become_root();
  unshare_mounts();
}

OwnIds entered_ids() {
  return {require_mapped("/proc/self/uid_map"), require_mapped("/proc/self/gid_map")};
}

std::optional<std::uint32_t> find_mapped(std::string_view map, std::uint32_t inside) {
  for (const std::string_view line : split(map, '\n')) {
    std::vector<std::int64_t> numbers;  // first inside, first outside, how many
    for (const std::string_view word : split(line, ' ')) {
      const auto number = parse_int(word);
      if (number) numbers.push_back(*number);
    }
    if (numbers.size() != 3 || inside < numbers[0] || inside - numbers[0] >= numbers[2]) continue;
    return static_cast<std::uint32_t>(numbers[1] + inside - numbers[0]);
  }
  return std::nullopt;
}

}  // namespace cellar::sys
