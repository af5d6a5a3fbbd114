"""Writes a YAML file as JSON: yaml_to_json.py IN OUT"""
import json
import pathlib
import sys

import yaml

source, target = map(pathlib.Path, sys.argv[1:])
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps(yaml.safe_load(source.read_text()), separators=(",", ":")))
