"""A property that is worked out once for each object: ``functools.cached_property`` without its lock.

Python takes that lock up to 3.11, and it costs as much as most of what is kept by it. Two threads at once
might work out the same value twice; there are none here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):
    """Arguments:
    function: works out the value; what it raises is raised, and nothing is kept.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> once[T] | T:
        if instance is None:
            return self
        # From now on the attribute is found before this property.
        value = instance.__dict__[self._name] = self._function(instance)
        return value
