#include "doctor/state_ids.h"

#include "base/error.h"
#include "base/text.h"
#include "sys/file.h"

namespace cellar::doctor {
namespace {

std::string path_of(const std::string& state) { return state + "/ids"; }

std::string encode(const sys::OwnIds& ids) {
  return std::to_string(ids.first_user) + " " + std::to_string(ids.first_group) + "\n";
}

sys::OwnIds decode(std::string_view text, const std::string& path) {
  const auto fields = split(trim(text), ' ');
  const auto user = parse_int(fields.front());
  const auto group = parse_int(fields.back());
  if (fields.size() != 2 || !user || !group) {
    throw Error(ErrorCode::corrupt, "bad_ids", path + " does not hold two numbers",
                "write the first user id and the first group id of the cells' files into it");
  }
  return {static_cast<std::uint32_t>(*user), static_cast<std::uint32_t>(*group)};
}

std::string describe(const sys::OwnIds& ids) {
  return "users from " + std::to_string(ids.first_user) + ", groups from " +
         std::to_string(ids.first_group);
}

}  // namespace

void require_state_ids(const std::string& state, const sys::OwnIds& ids) {
  const std::string path = path_of(state);
  const auto text = sys::read_file(path);
  if (!text) return;
  const sys::OwnIds begun = decode(*text, path);
  if (begun == ids) return;
  const auto range = [](std::uint32_t first) {
    return std::to_string(first) + ":" + std::to_string(sys::kOwnIds);
  };
  throw Error(ErrorCode::conflict, "ids_changed",
              "the files in " + state + " have the ids of another range (" + describe(begun) +
                  ") than this user has by now (" + describe(ids) + ")",
              "as root: make " + range(begun.first_user) + " the user's first range in " +
                  "/etc/subuid and " + range(begun.first_group) + " in /etc/subgid, or set " +
                  "--state to another folder");
}

void note_state_ids(const std::string& state, const sys::OwnIds& ids) {
  require_state_ids(state, ids);
  if (!sys::exists(path_of(state))) sys::replace_file(path_of(state), encode(ids));
}

}  // namespace cellar::doctor
