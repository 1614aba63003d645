"""Writes the state that ipywidgets sends for each named widget, made without arguments but options, as JSON."""
import json
import sys

import ipywidgets as widgets
from ipywidgets.widgets import widget_bool, widget_button, widget_description, widget_int, widget_selection, widget_string

MODULES = [widgets, widget_bool, widget_button, widget_description, widget_int, widget_selection, widget_string]


def state_of(name):
    widget_class = next(getattr(module, name) for module in MODULES if hasattr(module, name))
    made = widget_class(options=["a", "b"]) if hasattr(widget_class, "options") else widget_class()
    return {key: value for key, value in made.get_state().items() if not isinstance(value, (bytes, memoryview))}


names = sys.argv[1:]


def stable(value):
    """The ids of models differ from run to run."""
    return "IPY_MODEL_" if isinstance(value, str) and value.startswith("IPY_MODEL_") else value


states = {name: {key: stable(value) for key, value in sorted(state_of(name).items())} for name in names}
print(json.dumps(states, indent=1, sort_keys=True))
