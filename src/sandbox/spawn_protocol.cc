#include "sandbox/spawn_protocol.h"

#include "wire/packer.h"

namespace cellar::sandbox {
namespace {

using wire::Packer;
using wire::Unpacker;

void pack(Packer& out, const DomainSpec& spec) {
  out.text(spec.cell_id).u8(static_cast<std::uint8_t>(spec.kind)).text(spec.cell_dir);
  out.text(spec.image_dir).u32(spec.uid_base).u64(spec.tmp_bytes);
  out.u32(static_cast<std::uint32_t>(spec.binds.size()));
  for (const ReadOnlyBind& bind : spec.binds) out.text(bind.host_path).text(bind.path);
  out.texts(spec.join_groups).text(spec.group);
}

DomainSpec unpack_spec(Unpacker& in) {
  DomainSpec spec;
  spec.cell_id = in.text();
  spec.kind = in.u8() == 0 ? DomainKind::agent : DomainKind::shell;
  spec.cell_dir = in.text();
  spec.image_dir = in.text();
  spec.uid_base = in.u32();
  spec.tmp_bytes = in.u64();
  const std::uint32_t bind_count = in.u32();
  for (std::uint32_t i = 0; i < bind_count && in.ok(); ++i) {
    ReadOnlyBind bind;
    bind.host_path = in.text();
    bind.path = in.text();
    spec.binds.push_back(std::move(bind));
  }
  spec.join_groups = in.texts();
  spec.group = in.text();
  return spec;
}

}  // namespace

std::string encode(const SpawnRequest& request) {
  Packer out;
  if (const auto* make = std::get_if<MakeDomain>(&request)) {
    out.u8(1);
    pack(out, make->spec);
    out.text(make->socket_path);
    return out.take();
  }
  const auto& listen = std::get<ListenIn>(request);
  out.u8(2).u32(static_cast<std::uint32_t>(listen.ports.size()));
  for (const ListenIn::Port& port : listen.ports) out.u32(port.port).u8(port.udp ? 1 : 0);
  return out.take();
}

std::string encode(const SpawnAnswer& answer) {
  Packer out;
  if (const auto* made = std::get_if<DomainMade>(&answer)) {
    out.u8(101).u32(made->pid);
  } else if (std::holds_alternative<Listening>(answer)) {
    out.u8(102);
  } else {
    out.u8(103).text(std::get<SpawnFailed>(answer).message);
  }
  return out.take();
}

std::optional<SpawnRequest> decode_spawn_request(std::string_view bytes) {
  Unpacker in(bytes);
  SpawnRequest request;
  switch (in.u8()) {
    case 1: {
      MakeDomain make;
      make.spec = unpack_spec(in);
      make.socket_path = in.text();
      request = std::move(make);
      break;
    }
    case 2: {
      ListenIn listen;
      const std::uint32_t count = in.u32();
      for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::uint32_t port = in.u32();
        listen.ports.push_back({static_cast<std::uint16_t>(port), in.u8() == 1});
      }
      if (listen.ports.size() > ListenIn::kPortsMax) return std::nullopt;
      request = std::move(listen);
      break;
    }
    default:
      return std::nullopt;
  }
  if (!in.complete()) return std::nullopt;
  return request;
}

std::optional<SpawnAnswer> decode_spawn_answer(std::string_view bytes) {
  Unpacker in(bytes);
  SpawnAnswer answer;
  switch (in.u8()) {
    case 101:
      answer = DomainMade{in.u32()};
      break;
    case 102:
      answer = Listening{};
      break;
    case 103:
      answer = SpawnFailed{in.text()};
      break;
    default:
      return std::nullopt;
  }
  if (!in.complete()) return std::nullopt;
  return answer;
}

}  // namespace cellar::sandbox
