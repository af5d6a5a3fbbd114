#include "sandbox/spawn_protocol.h"

#include "wire/packer.h"

namespace cellar::sandbox {
namespace {

using wire::Packer;
using wire::Unpacker;

void pack(Packer& out, const DomainSpec& spec) {
  out.text(spec.cell_id).u8(static_cast<std::uint8_t>(spec.kind));
  out.u8(static_cast<std::uint8_t>(spec.runtime)).u8(static_cast<std::uint8_t>(spec.rights));
  out.u8(static_cast<std::uint8_t>(spec.part));
  out.text(spec.cell_dir).text(spec.image_dir).u32(spec.uid_base).u64(spec.tmp_bytes);
  out.u32(spec.pids_max);
  out.u32(static_cast<std::uint32_t>(spec.binds.size()));
  for (const ReadOnlyBind& bind : spec.binds) out.text(bind.host_path).text(bind.path);
}

DomainSpec unpack_spec(Unpacker& in) {
  DomainSpec spec;
  spec.cell_id = in.text();
  spec.kind = in.u8() == 0 ? DomainKind::agent : DomainKind::shell;
  spec.runtime = in.u8() == 0 ? Runtime::native : Runtime::gvisor;
  spec.rights = in.u8() == 0 ? Rights::root : Rights::user;
  spec.part = in.u8() == 0 ? Part::whole : Part::warm;
  spec.cell_dir = in.text();
  spec.image_dir = in.text();
  spec.uid_base = in.u32();
  spec.tmp_bytes = in.u64();
  spec.pids_max = in.u32();
  const std::uint32_t bind_count = in.u32();
  for (std::uint32_t i = 0; i < bind_count && in.ok(); ++i) {
    ReadOnlyBind bind;
    bind.host_path = in.text();
    bind.path = in.text();
    spec.binds.push_back(std::move(bind));
  }
  return spec;
}

void pack(Packer& out, const Image& image) {
  out.text(image.root).text(image.agent).text(image.usr).text(image.packages);
}

Image unpack_image(Unpacker& in) {
  Image image;
  image.root = in.text();
  image.agent = in.text();
  image.usr = in.text();
  image.packages = in.text();
  return image;
}

}  // namespace

std::uint32_t number_of(std::string_view message) { return Unpacker(message).u32(); }

std::string encode(std::uint32_t number, const SpawnRequest& request) {
  Packer out;
  out.u32(number);
  if (const auto* make = std::get_if<MakeDomain>(&request)) {
    out.u8(1);
    pack(out, make->spec);
    out.text(make->socket_path).text(make->slot).text(make->platform);
    return out.take();
  }
  if (const auto* probe = std::get_if<ProbeGvisor>(&request)) {
    return out.u8(3).text(probe->platform).take();
  }
  if (const auto* personalize = std::get_if<Personalize>(&request)) {
    out.u8(4);
    pack(out, personalize->spec);
    return out.u32(personalize->pid).u64(personalize->start_time).take();
  }
  if (const auto* socket = std::get_if<SocketIn>(&request)) {
    return out.u8(5).u8(static_cast<std::uint8_t>(socket->kind)).take();
  }
  if (const auto* adopt = std::get_if<Adopt>(&request)) {
    return out.u8(6).text(adopt->made_in).text(adopt->cell_dir).text(adopt->host_name).take();
  }
  const auto& listen = std::get<ListenIn>(request);
  out.u8(2).u32(static_cast<std::uint32_t>(listen.ports.size()));
  for (const ListenIn::Port& port : listen.ports) {
    out.u32(port.port).u8(port.udp ? 1 : 0).u8(port.catches_all ? 1 : 0);
  }
  return out.take();
}

std::string encode(std::uint32_t number, const SpawnAnswer& answer) {
  Packer out;
  out.u32(number);
  if (const auto* made = std::get_if<DomainMade>(&answer)) {
    out.u8(101).u32(made->pid).text(made->slot);
  } else if (const auto* listening = std::get_if<Listening>(&answer)) {
    out.u8(102).text(listening->why_not_all);
  } else if (const auto* started = std::get_if<RunscStarted>(&answer)) {
    out.u8(104).text(started->slot);
  } else if (std::holds_alternative<Personal>(answer)) {
    out.u8(105);
  } else if (std::holds_alternative<SocketMade>(answer)) {
    out.u8(106);
  } else if (std::holds_alternative<MountsStay>(answer)) {
    out.u8(107);
  } else {
    out.u8(103).text(std::get<SpawnFailed>(answer).message);
  }
  return out.take();
}

std::optional<SpawnRequest> decode_spawn_request(std::string_view bytes) {
  Unpacker in(bytes);
  in.u32();
  SpawnRequest request;
  switch (in.u8()) {
    case 1: {
      MakeDomain make;
      make.spec = unpack_spec(in);
      make.socket_path = in.text();
      make.slot = in.text();
      make.platform = in.text();
      request = std::move(make);
      break;
    }
    case 2: {
      ListenIn listen;
      const std::uint32_t count = in.u32();
      for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        ListenIn::Port port;
        port.port = static_cast<std::uint16_t>(in.u32());
        port.udp = in.u8() == 1;
        port.catches_all = in.u8() == 1;
        listen.ports.push_back(port);
      }
      if (listen.ports.size() > ListenIn::kPortsMax) return std::nullopt;
      request = std::move(listen);
      break;
    }
    case 3:
      request = ProbeGvisor{in.text()};
      break;
    case 4: {
      Personalize personalize;
      personalize.spec = unpack_spec(in);
      personalize.pid = in.u32();
      personalize.start_time = in.u64();
      request = std::move(personalize);
      break;
    }
    case 5: {
      const std::uint8_t kind = in.u8();
      if (kind > static_cast<std::uint8_t>(SocketIn::Kind::diagnostics)) return std::nullopt;
      request = SocketIn{static_cast<SocketIn::Kind>(kind)};
      break;
    }
    case 6: {
      Adopt adopt;
      adopt.made_in = in.text();
      adopt.cell_dir = in.text();
      adopt.host_name = in.text();
      request = std::move(adopt);
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
  in.u32();
  SpawnAnswer answer;
  switch (in.u8()) {
    case 101: {
      DomainMade made;
      made.pid = in.u32();
      made.slot = in.text();
      answer = std::move(made);
      break;
    }
    case 102:
      answer = Listening{in.text()};
      break;
    case 103:
      answer = SpawnFailed{in.text()};
      break;
    case 104:
      answer = RunscStarted{in.text()};
      break;
    case 105:
      answer = Personal{};
      break;
    case 106:
      answer = SocketMade{};
      break;
    case 107:
      answer = MountsStay{};
      break;
    default:
      return std::nullopt;
  }
  if (!in.complete()) return std::nullopt;
  return answer;
}

// ---- with a blank ----

std::string encode(const BlankRequest& request) {
  Packer out;
  if (const auto* prepare = std::get_if<Prepare>(&request)) {
    out.u8(1).texts(prepare->groups.join).text(prepare->groups.own);
  } else {
    const auto& assign = std::get<Assign>(request);
    out.u8(2);
    pack(out, assign.spec);
    pack(out, assign.image);
    out.text(assign.socket_name);
  }
  return out.take();
}

std::optional<BlankRequest> decode_blank_request(std::string_view bytes) {
  Unpacker in(bytes);
  BlankRequest request;
  switch (in.u8()) {
    case 1: {
      Prepare prepare;
      prepare.groups.join = in.texts();
      prepare.groups.own = in.text();
      request = std::move(prepare);
      break;
    }
    case 2: {
      Assign assign;
      assign.spec = unpack_spec(in);
      assign.image = unpack_image(in);
      assign.socket_name = in.text();
      request = std::move(assign);
      break;
    }
    default:
      return std::nullopt;
  }
  if (!in.complete()) return std::nullopt;
  return request;
}

}  // namespace cellar::sandbox
