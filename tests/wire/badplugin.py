# SPDX-License-Identifier: MIT
"""Builds the plugin that misbehaves (bad.c) under any name."""
import json
import os
import shlex
import subprocess

from gateway import SOURCE

METHODS = ("block", "counts", "crash", "emit", "keep", "large", "late", "later",
           "say", "take")


def schema(name):
    params = {"type": "object", "additionalProperties": False, "properties": {
        "n": {"type": "integer"}, "bytes": {"type": "integer"},
        "how": {"type": "string"}, "what": {"type": "string"},
        "event": {"type": "string"}}}
    return {
        "methods": {f"{name}.{m}": {
            "summary": "Misbehaves.", "params": params,
            "result": {"type": "object"}, "errors": []} for m in METHODS},
        "events": {f"{name}.event": {
            "summary": "Something.", "payload": {"type": "object"}}},
        "config": {"type": "object", "additionalProperties": False,
                   "properties": {"crash": {"type": "string"}}}}


def build(folder, name="bad", flags=()):
    """folder/<name>.so and its schema."""
    so = os.path.join(folder, name + ".so")
    subprocess.run(
        shlex.split(os.environ.get("CC", "cc")) + [
            "-shared", "-fPIC", "-g", "-O1", "-pthread",
            f"-I{SOURCE}/include", f'-DNAME="{name}"', "-Wl,-z,now",
            "-fvisibility=hidden", "-o", so + ".new",
            f"{SOURCE}/tests/wire/bad.c", *flags], check=True)
    with open(os.path.join(folder, name + ".json"), "w",
              encoding="utf-8") as f:
        json.dump(schema(name), f)
    os.chmod(so + ".new", 0o755)
    os.rename(so + ".new", so)
    return so
