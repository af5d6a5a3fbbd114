"""Loads an agent's code: a Python file, whose functions are its methods."""
import inspect
import os
import re
import sys
import traceback
import types

from .errors import AGENT_MODULE, AgentError, shown, stack_of

# It calls ctx.fetch, or may import what does from a folder of its own.
NEEDS_FETCH = re.compile(rb"fetch|sys\.path|from sys|sys as|importlib|__import__|runpy|site|exec")

_loaded = {}  # path → module


def _place_of(error, path):
    """Where in the agent it broke: "agent.py:3: "; "" where nothing says so."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f"agent.py:{error.lineno}: "
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"agent.py:{lines[-1]}: " if lines else ""


def _message_of(error):
    """Without the file and the line that Python writes behind that of a syntax error."""
    return error.msg if isinstance(error, SyntaxError) and isinstance(error.msg, str) else shown(error)


def _load(path):
    # Several versions of an agent may be loaded at once.
    name = f"{AGENT_MODULE}{os.path.splitext(os.path.basename(path))[0][:16]}"
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module  # Dataclasses and the like look for it there.
    try:
        with open(path, "rb") as file:
            source = file.read()
        if NEEDS_FETCH.search(source) or "PYTHONPATH" in os.environ:
            from . import fetch  # noqa: F401  What it imports is Python's, and not what the agent calls the same.
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise AgentError("agent_load_failed", f"the agent cannot be loaded: {_place_of(error, path)}"
                         f"{type(error).__name__}: {_message_of(error)}", stack_of(error)) from None
    return module


def load_agent(path):
    """One that does not load is read again the next time."""
    if path not in _loaded:
        _loaded[path] = _load(path)
    return _loaded[path]


def _methods(module):
    """What the agent exports: what __all__ names, else its own functions whose names begin with no
    underscore. `setup` is none."""
    exported = getattr(module, "__all__", None)
    if exported is not None:
        found = {name: getattr(module, name, None) for name in exported}
        functions = {name: value for name, value in found.items() if callable(value)}
    else:
        functions = {name: value for name, value in vars(module).items()
                     if not name.startswith("_") and inspect.isfunction(value)
                     and value.__module__ == module.__name__}
    functions.pop("setup", None)
    return functions


def method_of(module, name):
    methods = _methods(module)
    if name in methods:
        return methods[name]
    raise AgentError("method_not_found",
                     f'the agent has no method "{name}"; it has {", ".join(methods) or "none"}')


def setup_of(module):
    setup = getattr(module, "setup", None)
    return setup if callable(setup) else None


def arguments_for(function, *offered):
    """As many of these as it takes."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return offered
    for count in range(len(offered), -1, -1):
        try:
            signature.bind(*offered[:count])
            return offered[:count]
        except TypeError:
            continue
    return offered


def is_asynchronous(function):
    return inspect.iscoroutinefunction(function) or \
        inspect.iscoroutinefunction(getattr(function, "__call__", None))
