#include "sandbox/filter_program.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace cellar::sandbox {
namespace {

using Code = std::vector<sock_filter>;

constexpr std::uint32_t kX32Bit = 0x40000000;
constexpr std::size_t kJumpMax = 255;

// Later than the library that knows the others; the same number on every architecture.
constexpr std::array<std::pair<std::string_view, std::uint32_t>, 14> kNewCalls = {
    {{"cachestat", 451},
     {"fchmodat2", 452},
     {"map_shadow_stack", 453},
     {"futex_wake", 454},
     {"futex_wait", 455},
     {"futex_requeue", 456},
     {"statmount", 457},
     {"listmount", 458},
     {"mseal", 462},
     {"open_tree_attr", 467},
     {"set_mempolicy_home_node", 450},
     {"futex_waitv", 449},
     {"process_mrelease", 448},
     {"quotactl_fd", 443}}};

sock_filter statement(int code, std::uint32_t value) {
  return {static_cast<std::uint16_t>(code), 0, 0, value};
}
sock_filter jump(int code, std::uint32_t value, std::size_t if_true, std::size_t if_false) {
  CELLAR_CHECK(if_true <= kJumpMax && if_false <= kJumpMax);
  return {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
          static_cast<std::uint8_t>(if_false), value};
}
sock_filter load(std::size_t offset) {
  return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter answer(std::uint32_t action) { return statement(BPF_RET | BPF_K, action); }
sock_filter answer_error(int error) {
  return answer(SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA));
}

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }

// nullopt where the architecture has no such call.
std::optional<std::uint32_t> number_of(std::string_view name, Architecture architecture) {
  for (const auto& [known, number] : kNewCalls) {
    if (known == name) return number;
  }
  const std::uint32_t token =
      architecture == Architecture::x86_64 ? SCMP_ARCH_X86_64 : SCMP_ARCH_AARCH64;
  const int number = ::seccomp_syscall_resolve_name_arch(token, std::string(name).c_str());
  if (number == __NR_SCMP_ERROR) {
    throw Error(ErrorCode::internal, "no system call is named \"" + std::string(name) + "\"");
  }
  if (number < 0) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

// What is to be done with a call, once its number is known.
struct Treatment {
  std::vector<RefusedCall> refused;  // those with conditions
  std::uint32_t otherwise = SECCOMP_RET_ERRNO | ENOSYS;
};

std::map<std::uint32_t, Treatment> treatments_of(const FilterPolicy& policy,
                                                 Architecture architecture) {
  std::map<std::uint32_t, Treatment> treatments;
  for (const std::string_view name : policy.allowed) {
    const auto number = number_of(name, architecture);
    if (number) treatments[*number].otherwise = SECCOMP_RET_ALLOW;
  }
  for (const RefusedCall& call : policy.refused) {
    const auto number = number_of(call.name, architecture);
    if (!number) continue;
    Treatment& treatment = treatments[*number];
    if (call.when.empty()) {
      treatment.otherwise = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(call.error);
    } else {
      treatment.refused.push_back(call);
    }
  }
  return treatments;
}

// Runs into the code behind it where the argument matches, else passes over `skipped` statements of
// that.
Code match_argument(const ArgumentMatch& match, std::size_t skipped) {
  struct Half {
    std::size_t offset;
    std::uint32_t mask, value;
  };
  const std::size_t low = offsetof(seccomp_data, args) + match.index * sizeof(std::uint64_t);
  std::vector<Half> halves;  // Both architectures are little-endian.
  for (const unsigned shift : {0U, 32U}) {
    const Half half{low + shift / 8, static_cast<std::uint32_t>(match.mask >> shift),
                    static_cast<std::uint32_t>(match.value >> shift)};
    if (half.mask != 0) halves.push_back(half);
  }
  // Equal is equal in each half; the first half that differs decides that the whole does.
  const bool wants_equal = match.compare == Compare::equal;
  Code code;
  for (auto half = halves.rbegin(); half != halves.rend(); ++half) {
    const bool is_last = half == halves.rbegin();
    const std::size_t past = code.size();
    const std::size_t if_equal = wants_equal || !is_last ? 0 : past + skipped;
    const std::size_t if_different = wants_equal ? past + skipped : past;
    Code compare = {load(half->offset)};
    if (half->mask != 0xffffffff) {
      compare.push_back(statement(BPF_ALU | BPF_AND | BPF_K, half->mask));
    }
    compare.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, half->value, if_equal, if_different));
    append(compare, code);
    code = std::move(compare);
  }
  return code;
}

// Answers with the call's error where all its conditions match, else runs past its end.
Code refusal_of(const RefusedCall& call) {
  Code code = {answer_error(call.error)};
  for (const ArgumentMatch& argument : call.when) {
    Code match = match_argument(argument, code.size());
    append(match, code);
    code = std::move(match);
  }
  return code;
}

Code treat(const Treatment& treatment) {
  Code code;
  for (const RefusedCall& call : treatment.refused) append(code, refusal_of(call));
  code.push_back(answer(treatment.otherwise));
  return code;
}

// The numbers from `first` up to the next block's are treated alike.
struct Block {
  std::uint32_t first = 0;
  Code code;
};

std::vector<Block> blocks_of(const std::map<std::uint32_t, Treatment>& treatments,
                             Architecture architecture) {
  std::vector<Block> blocks;
  const auto begin_block = [&blocks](std::uint32_t first, Code code) {
    const bool same = !blocks.empty() && blocks.back().code.size() == 1 && code.size() == 1 &&
                      blocks.back().code[0].k == code[0].k;
    if (!same) blocks.push_back({first, std::move(code)});
  };
  const Code unknown = {answer_error(ENOSYS)};
  std::uint32_t next = 0;
  for (const auto& [number, treatment] : treatments) {
    if (number > next) begin_block(next, unknown);
    begin_block(number, treat(treatment));
    next = number + 1;
  }
  begin_block(next, unknown);
  if (architecture == Architecture::x86_64) {
    begin_block(kX32Bit, {answer(SECCOMP_RET_KILL_PROCESS)});
  }
  return blocks;
}

// Finds the block of the number in the accumulator.
Code bisect(std::span<const Block> blocks) {
  if (blocks.size() == 1) return blocks.front().code;
  const std::size_t half = blocks.size() / 2;
  const Code below = bisect(blocks.first(half));
  const Code above = bisect(blocks.subspan(half));
  const std::uint32_t pivot = blocks[half].first;
  Code code;
  if (below.size() <= kJumpMax) {
    code.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, pivot, below.size(), 0));
  } else {
    code.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, pivot, 0, 1));
    code.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(below.size())));
  }
  append(code, below);
  append(code, above);
  return code;
}

bool is_jump(const sock_filter& one) noexcept { return BPF_CLASS(one.code) == BPF_JMP; }
bool is_always(const sock_filter& one) noexcept { return one.code == (BPF_JMP | BPF_JA); }
bool is_answer(const sock_filter& one) noexcept { return BPF_CLASS(one.code) == BPF_RET; }

// Where the code goes on behind the statement at `at`: at most two places, as what they are
// relative to is known here only.
std::vector<std::size_t> nexts_of(const Code& code, std::size_t at) {
  const sock_filter& one = code[at];
  if (is_answer(one)) return {};
  if (is_always(one)) return {at + 1 + one.k};
  if (is_jump(one)) return {at + 1 + one.jt, at + 1 + one.jf};
  return {at + 1};
}

std::vector<bool> reached_in(const Code& code) {
  std::vector<bool> reached(code.size());
  reached[0] = true;
  for (std::size_t at = 0; at < code.size(); ++at) {  // Everything goes forward.
    if (!reached[at]) continue;
    for (const std::size_t next : nexts_of(code, at)) reached[next] = true;
  }
  return reached;
}

// The same with each answer once, at the end, for all that jump there and can: the kernel compiles
// the filter anew for each program that is started, and takes a time for it as the code is long.
Code with_shared_answers(Code code) {
  std::map<std::uint32_t, std::size_t> shared;
  const std::size_t size = code.size();
  for (std::size_t at = 0; at < size; ++at) {
    if (!is_answer(code[at]) || shared.contains(code[at].k)) continue;
    shared[code[at].k] = code.size();
    code.push_back(code[at]);
  }
  const auto redirected = [&](std::size_t at, std::uint8_t distance) {
    const sock_filter& target = code[at + 1 + distance];
    if (!is_answer(target)) return distance;
    const std::size_t wanted = shared.at(target.k) - at - 1;
    return wanted <= kJumpMax ? static_cast<std::uint8_t>(wanted) : distance;
  };
  for (std::size_t at = 0; at < size; ++at) {
    if (!is_jump(code[at]) || is_always(code[at])) continue;
    code[at].jt = redirected(at, code[at].jt);
    code[at].jf = redirected(at, code[at].jf);
  }
  const std::vector<bool> reached = reached_in(code);
  std::vector<std::size_t> places(code.size());  // that statements have in what is left
  std::size_t count = 0;
  for (std::size_t at = 0; at < code.size(); ++at) {
    places[at] = count;
    if (reached[at]) ++count;
  }
  Code left;
  for (std::size_t at = 0; at < code.size(); ++at) {
    if (!reached[at]) continue;
    sock_filter one = code[at];
    const auto moved = [&](std::size_t distance) {
      return places[at + 1 + distance] - places[at] - 1;
    };
    if (is_always(one)) {
      one.k = static_cast<std::uint32_t>(moved(one.k));
    } else if (is_jump(one)) {
      one.jt = static_cast<std::uint8_t>(moved(one.jt));
      one.jf = static_cast<std::uint8_t>(moved(one.jf));
    }
    left.push_back(one);
  }
  return left;
}

}  // namespace

Architecture own_architecture() noexcept {
#if defined(__aarch64__)
  return Architecture::aarch64;
#else
  return Architecture::x86_64;
#endif
}

std::string compile_filter(const FilterPolicy& policy, Architecture architecture) {
  const bool is_x86 = architecture == Architecture::x86_64;
  const std::uint32_t token = is_x86 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
  Code code = {load(offsetof(seccomp_data, arch)), jump(BPF_JMP | BPF_JEQ | BPF_K, token, 1, 0),
               answer(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  append(code, bisect(blocks_of(treatments_of(policy, architecture), architecture)));
  // What is shared comes nearer as statements are left out, so that more can jump there.
  for (std::size_t before = code.size() + 1; code.size() < before;) {
    before = code.size();
    code = with_shared_answers(std::move(code));
  }
  if (code.size() > BPF_MAXINSNS) throw Error(ErrorCode::internal, "the filter is too long");
  std::string bytes(code.size() * sizeof(sock_filter), '\0');
  std::memcpy(bytes.data(), code.data(), bytes.size());
  return bytes;
}

}  // namespace cellar::sandbox
