"""Tasks, values and states as bytes, for processes elsewhere.

A task goes by its name where the other side can import it, else by value, which needs cloudpickle.
"""

import dataclasses
import inspect
import io
import pickle
import sys
from importlib import import_module
from typing import Any

from airside.sdk.flows.exceptions import FlowError
from airside.sdk.flows.flow import Flow
from airside.sdk.flows.options import FlowOptions, Options
from airside.sdk.flows.task import Task

try:
    from cloudpickle import Pickler as _Base
except ImportError:  # an extra brings it; without it, what is sent must be importable
    _Base = pickle.Pickler


class CannotSend(FlowError, TypeError):
    """This cannot be sent to another process. Say it with what can be pickled, or define it in a module."""


def dumps(value: Any, *, main_by_name: bool = False) -> bytes:
    """Write a value. `main_by_name`: the other side has the same `__main__`. Raises CannotSend."""
    file = io.BytesIO()
    try:
        _Pickler(file, main_by_name=main_by_name).dump(value)
    except Exception as error:
        if isinstance(error, CannotSend):
            raise
        raise CannotSend(f"{CannotSend.__doc__} ({type(error).__name__}: {error})") from error
    return file.getvalue()


def loads(data: bytes) -> Any:
    """Read a value that `dumps` wrote on this user's behalf: bytes of anybody else must never come here."""
    return pickle.loads(data)  # noqa: S301 - between processes of one flow run


class _Pickler(_Base):  # type: ignore[misc] # one of two
    def __init__(self, file: io.BytesIO, *, main_by_name: bool) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._main_by_name = main_by_name

    def reducer_override(self, value: Any) -> Any:
        """Write flows and tasks by name where that leads to them: their functions' names lead to the decorated ones."""
        if isinstance(value, Task | Flow):
            return self._decorated(value)
        if _Base is pickle.Pickler:
            return NotImplemented
        return super().reducer_override(value)

    def _decorated(self, value: Task[..., Any] | Flow[..., Any]) -> Any:
        function = value.fn
        if inspect.ismethod(function):
            decorator: Any = type(value)
            return _bound, (decorator(function.__func__, value.options), function.__self__)
        options: Options = value.options
        if isinstance(options, FlowOptions):
            options = dataclasses.replace(options, task_runner=None)  # runners hold threads and connections
        module, name = function.__module__, function.__qualname__
        found = _look_up(module, name) if module != "__main__" or self._main_by_name else None
        if type(found) is type(value) and found.fn is function:
            return _named, (module, name, None if found.options == value.options else options)
        return type(value), (function, options)


def _look_up(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _named(module: str, name: str, options: Any) -> Any:
    import_module(module)
    found = _look_up(module, name)
    if found is None:
        raise ModuleNotFoundError(f"{module} has no {name} here")
    return found if options is None else type(found)(found.fn, options)


def _bound(decorated: Any, instance: Any) -> Any:
    return decorated.__get__(instance, type(instance))
