"""Renders chat templates with Jinja2 set up as `transformers` does, for tests/peers/chatTemplate.test.ts.

Reads JSON from stdin: [{"template", "values"}]. Writes JSON to stdout: [text].
"""

import json
import sys

from jinja2.sandbox import ImmutableSandboxedEnvironment


def raise_exception(message):
    raise ValueError(message)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
environment.globals["raise_exception"] = raise_exception
json.dump([environment.from_string(job["template"]).render(**job["values"]) for job in json.load(sys.stdin)], sys.stdout)
