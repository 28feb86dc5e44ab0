"""Registries of extensions: a module in a registry's folder is an extension, and its file name is the name.

The module defines one object and marks it with :func:`register`. Nothing else lists it: the allowed values in
``params.yaml`` come from :func:`names_in`, which reads file names and imports nothing.
"""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Generic, TypeVar, cast

from stillhouse.errors import StillhouseError

Item = TypeVar("Item")
_registered: dict[str, object] = {}  # by the name of the defining module


def register(item: Item) -> Item:
    """Decorator: make a function or class the extension that its module defines.

    Raises:
        StillhouseError: the module has registered another object.
    """
    module = item.__module__
    first = _registered.setdefault(module, item)
    if getattr(first, "__qualname__", None) != getattr(item, "__qualname__", None):
        raise StillhouseError(f"{module} registers more than one object: a file is one extension.")
    _registered[module] = item  # a reloaded module replaces its own object
    return item


def names_in(package: str) -> tuple[str, ...]:
    """The names of the extensions in ``package``, such as ``stillhouse.distillation.losses``, sorted.

    Files whose name starts with an underscore are not extensions. Imports nothing.
    """
    folder = Path(__file__).parents[1].joinpath(*package.split("."))
    names = (module.name for module in pkgutil.iter_modules([str(folder)]))
    return tuple(sorted(name for name in names if not name.startswith("_")))


class Registry(Generic[Item]):
    """The extensions in a package. A module is imported when its extension is first used."""

    def __init__(self, package: str, kind: Callable[[Item], bool] = callable) -> None:
        """``kind`` is true for a valid extension."""
        self.package, self._kind = package, kind

    def __iter__(self) -> Iterator[str]:
        """The names, as :func:`names_in` returns them."""
        return iter(names_in(self.package))

    def __getitem__(self, name: str) -> Item:
        """The extension ``name``.

        Raises:
            StillhouseError: there is no such file, or it registers no valid object.
        """
        if name not in (names := tuple(self)):
            raise StillhouseError(f"{self.package} has no {name!r}; it has {', '.join(names)}.")
        module = f"{self.package}.{name}"
        import_module(module)
        found = cast(Item, _registered.get(module))
        if found is None or not self._kind(found):
            raise StillhouseError(f"{module} must mark its extension with @register (stillhouse/registry.py).")
        return found
