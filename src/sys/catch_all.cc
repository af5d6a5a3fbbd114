#include "sys/catch_all.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {
namespace {

constexpr char kLicence[] = "Apache-2.0";
constexpr char kProgramName[] = "cellar_way_out";
constexpr std::uint32_t kKey = 0;  // of the only socket in the table

// A union, of which {} need not clear all: the kernel refuses bytes behind what it reads.
bpf_attr no_attributes() {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  return attributes;
}

long bpf(bpf_cmd command, bpf_attr& attributes) {
  return retry_on_signal(
      [&] { return ::syscall(SYS_bpf, command, &attributes, sizeof attributes); });
}

Fd made_by(bpf_cmd command, bpf_attr& attributes, const char* subject) {
  const long fd = bpf(command, attributes);
  if (fd == -1) throw_errno("bpf", subject);
  return Fd(static_cast<int>(fd));
}

// ---- the program, in the kernel's instructions (Documentation/bpf) ----

constexpr bpf_insn instruction(int code, int to, int from, int offset, std::int32_t value) {
  bpf_insn made{};
  made.code = static_cast<__u8>(code);
  made.dst_reg = static_cast<__u8>(to) & 0xF;
  made.src_reg = static_cast<__u8>(from) & 0xF;
  made.off = static_cast<__s16>(offset);
  made.imm = value;
  return made;
}
constexpr bpf_insn copy(int to, int from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn set(int to, std::int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
// Register 6 has the context from the first instruction on.
constexpr bpf_insn context_word(int to, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_6, static_cast<int>(offset), 0);
}
constexpr bpf_insn either(int to, int from) {
  return instruction(BPF_ALU64 | BPF_OR | BPF_X, to, from, 0, 0);
}
constexpr bpf_insn call(bpf_func_id helper) {
  return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

// Where the jumps lead.
constexpr int kV4 = 15;
constexpr int kCatch = 18;
constexpr int kPass = 32;
// `at` is the place of the jump itself.
constexpr bpf_insn jump(int condition, int left, std::int32_t right, int at, int target) {
  return instruction(BPF_JMP | condition | BPF_K, left, 0, target - at - 1, right);
}

Fd make_table() {
  bpf_attr attributes = no_attributes();
  attributes.map_type = BPF_MAP_TYPE_SOCKMAP;
  attributes.key_size = sizeof kKey;
  attributes.value_size = sizeof(std::uint64_t);
  attributes.max_entries = 1;
  return made_by(BPF_MAP_CREATE, attributes, "a table of sockets");
}

// Addresses are in the network's order, in the context as in what they are compared with. Where the
// table is empty, as it is once the listener is closed, the connection finds what it finds without
// the program; it stays in the namespace.
Fd load_program(int table) {
  const auto network_order = [](std::uint32_t host) { return static_cast<int>(htonl(host)); };
  constexpr std::size_t kIp6 = offsetof(bpf_sk_lookup, local_ip6);
  const bpf_insn program[] = {
      /* 0 */ copy(BPF_REG_6, BPF_REG_1),
      /* 1 */ context_word(BPF_REG_2, offsetof(bpf_sk_lookup, protocol)),
      /* 2 */ jump(BPF_JNE, BPF_REG_2, IPPROTO_TCP, 2, kPass),
      /* 3 */ context_word(BPF_REG_2, offsetof(bpf_sk_lookup, family)),
      /* 4 */ jump(BPF_JEQ, BPF_REG_2, AF_INET, 4, kV4),
      /* 5 */ jump(BPF_JNE, BPF_REG_2, AF_INET6, 5, kPass),
      // ::1 is three words of 0 and a 1.
      /* 6 */ context_word(BPF_REG_2, kIp6),
      /* 7 */ context_word(BPF_REG_3, kIp6 + 4),
      /* 8 */ either(BPF_REG_2, BPF_REG_3),
      /* 9 */ context_word(BPF_REG_3, kIp6 + 8),
      /* 10 */ either(BPF_REG_2, BPF_REG_3),
      /* 11 */ jump(BPF_JNE, BPF_REG_2, 0, 11, kCatch),
      /* 12 */ context_word(BPF_REG_2, kIp6 + 12),
      /* 13 */ jump(BPF_JEQ, BPF_REG_2, network_order(1), 13, kPass),
      /* 14 */ jump(BPF_JA, 0, 0, 14, kCatch),
      /* 15, kV4 */ context_word(BPF_REG_2, offsetof(bpf_sk_lookup, local_ip4)),
      /* 16 */
      instruction(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, network_order(0xFF000000)),
      /* 17 */ jump(BPF_JEQ, BPF_REG_2, network_order(0x7F000000), 17, kPass),
      // The socket of the table becomes the listener; what was looked up is given back.
      /* 18, kCatch */ instruction(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, kKey),
      /* 19 */ copy(BPF_REG_2, BPF_REG_10),
      /* 20 */ instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
      /* 21 */
      instruction(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, table),
      /* 22, its second half */ instruction(0, 0, 0, 0, 0),
      /* 23 */ call(BPF_FUNC_map_lookup_elem),
      /* 24 */ jump(BPF_JEQ, BPF_REG_0, 0, 24, kPass),
      /* 25 */ copy(BPF_REG_7, BPF_REG_0),
      /* 26 */ copy(BPF_REG_1, BPF_REG_6),
      /* 27 */ copy(BPF_REG_2, BPF_REG_7),
      /* 28 */ set(BPF_REG_3, 0),
      /* 29 */ call(BPF_FUNC_sk_assign),
      /* 30 */ copy(BPF_REG_1, BPF_REG_7),
      /* 31 */ call(BPF_FUNC_sk_release),
      /* 32, kPass */ set(BPF_REG_0, SK_PASS),
      /* 33 */ instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  bpf_attr attributes = no_attributes();
  attributes.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
  attributes.expected_attach_type = BPF_SK_LOOKUP;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program);
  attributes.insn_cnt = sizeof program / sizeof program[0];
  attributes.license = reinterpret_cast<std::uintptr_t>(kLicence);
  static_assert(sizeof kProgramName <= sizeof attributes.prog_name);
  std::memcpy(attributes.prog_name, kProgramName, sizeof kProgramName);
  return made_by(BPF_PROG_LOAD, attributes, "a program of sk_lookup");
}

}  // namespace

Fd catch_all(int network_namespace, int listener) {
  const Fd table = make_table();
  const auto socket = static_cast<std::uint64_t>(listener);
  bpf_attr entry = no_attributes();
  entry.map_fd = static_cast<__u32>(table.get());
  entry.key = reinterpret_cast<std::uintptr_t>(&kKey);
  entry.value = reinterpret_cast<std::uintptr_t>(&socket);
  if (bpf(BPF_MAP_UPDATE_ELEM, entry) == -1) throw_errno("bpf", "a listener in a table of sockets");

  // The link holds the program, and the program the table.
  const Fd program = load_program(table.get());
  bpf_attr link = no_attributes();
  link.link_create.prog_fd = static_cast<__u32>(program.get());
  link.link_create.target_fd = static_cast<__u32>(network_namespace);
  link.link_create.attach_type = BPF_SK_LOOKUP;
  return made_by(BPF_LINK_CREATE, link, "sk_lookup of a network namespace");
}

void try_catch_all() {
  const Fd table = make_table();
  load_program(table.get());
}

}  // namespace cellar::sys
