#include "wire/init_protocol.h"

#include "wire/packer.h"

namespace cellar::wire {
namespace {

enum : std::uint8_t {
  kSpawn = 1,
  kSignal = 2,
  kForget = 3,
  kHello = 101,
  kStarted = 102,
  kStartFailed = 103,
  kExited = 104,
  kKept = 105,
};

struct Encoder {
  std::string operator()(const SpawnRequest& m) const {
    Packer packer;
    packer.u8(kSpawn).u32(m.id).texts(m.argv).texts(m.env).text(m.cwd);
    packer.u32(m.join_count).u8(m.has_terminal ? 1 : 0).u8(m.in_cgroup ? 1 : 0);
    return packer.u64(m.open_files_max).u64(m.file_bytes_max).u32(m.keep_count).take();
  }
  std::string operator()(const SignalRequest& m) const {
    return Packer().u8(kSignal).u32(m.id).u32(m.signal).take();
  }
  std::string operator()(const ForgetRequest& m) const {
    return Packer().u8(kForget).u32(m.id).u32(m.first).take();
  }
  std::string operator()(const InitHello& m) const {
    return Packer().u8(kHello).u32(m.version).take();
  }
  std::string operator()(const Started& m) const {
    return Packer().u8(kStarted).u32(m.id).u32(m.pid).take();
  }
  std::string operator()(const StartFailed& m) const {
    return Packer().u8(kStartFailed).u32(m.id).text(m.step).u32(m.error).take();
  }
  std::string operator()(const Exited& m) const {
    return Packer().u8(kExited).u32(m.id).u32(m.wait_status).take();
  }
  std::string operator()(const Kept& m) const {
    Packer packer;
    packer.u8(kKept).u32(m.id).u32(m.pid).u8(m.has_ended ? 1 : 0).u32(m.wait_status);
    return packer.take();
  }
};

}  // namespace

std::string encode(const InitRequest& request) { return std::visit(Encoder(), request); }
std::string encode(const InitReport& report) { return std::visit(Encoder(), report); }

std::optional<InitRequest> decode_init_request(std::string_view bytes) {
  Unpacker in(bytes);
  std::optional<InitRequest> request;
  switch (in.u8()) {
    case kSpawn: {
      SpawnRequest m;
      m.id = in.u32();
      m.argv = in.texts();
      m.env = in.texts();
      m.cwd = in.text();
      m.join_count = in.u32();
      m.has_terminal = in.u8() != 0;
      m.in_cgroup = in.u8() != 0;
      m.open_files_max = in.u64();
      m.file_bytes_max = in.u64();
      m.keep_count = in.u32();
      if (m.argv.empty()) return std::nullopt;
      request = std::move(m);
      break;
    }
    case kSignal: {
      SignalRequest m;
      m.id = in.u32();
      m.signal = in.u32();
      request = m;
      break;
    }
    case kForget: {
      const std::uint32_t id = in.u32();
      request = ForgetRequest{id, in.u32()};
      break;
    }
    default:
      return std::nullopt;
  }
  return in.complete() ? request : std::nullopt;
}

std::optional<InitReport> decode_init_report(std::string_view bytes) {
  Unpacker in(bytes);
  std::optional<InitReport> report;
  switch (in.u8()) {
    case kHello:
      report = InitHello{in.u32()};
      break;
    case kStarted: {
      const std::uint32_t id = in.u32();
      report = Started{id, in.u32()};
      break;
    }
    case kStartFailed: {
      StartFailed m;
      m.id = in.u32();
      m.step = in.text();
      m.error = in.u32();
      report = std::move(m);
      break;
    }
    case kExited: {
      const std::uint32_t id = in.u32();
      report = Exited{id, in.u32()};
      break;
    }
    case kKept: {
      Kept m;
      m.id = in.u32();
      m.pid = in.u32();
      m.has_ended = in.u8() != 0;
      m.wait_status = in.u32();
      report = m;
      break;
    }
    default:
      return std::nullopt;
  }
  return in.complete() ? report : std::nullopt;
}

}  // namespace cellar::wire
