"""Writes OUT.h and OUT.cc with the contents of files, all below ROOT where none is named: embed_files.py NAMESPACE ROOT OUT [FILE...]"""
import pathlib
import sys

namespace, root, out, *files = sys.argv[1:]
if not files:
    files = sorted(str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*") if path.is_file())
header = f"""#pragma once
#include <array>
#include <string_view>

namespace {namespace} {{

struct EmbeddedFile {{
  std::string_view name;      // relative to the embedded folder
  std::string_view contents;  // static storage
}};

extern const std::array<EmbeddedFile, {len(files)}> kFiles;

}}  // namespace {namespace}
"""
stem = pathlib.Path(out).name
body = [f'#include "{stem}.h"\n\nnamespace {namespace} {{\nnamespace {{\n']
for number, name in enumerate(files):
    data = pathlib.Path(root, name).read_bytes()
    rows = [",".join(str(b) for b in data[i:i + 64]) for i in range(0, len(data), 64)]
    body.append(f"constexpr unsigned char kData{number}[] = {{" + ",\n".join(rows + ["0"]) + "};\n")
body.append("}  // namespace\n\n")
body.append(f"const std::array<EmbeddedFile, {len(files)}> kFiles = {{{{\n")
for number, name in enumerate(files):
    size = pathlib.Path(root, name).stat().st_size
    body.append(f'    {{"{name}", {{reinterpret_cast<const char*>(kData{number}), {size}}}}},\n')
body.append(f"}}}};\n\n}}  // namespace {namespace}\n")
pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(out + ".h").write_text(header)
pathlib.Path(out + ".cc").write_text("".join(body))
