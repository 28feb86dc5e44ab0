"""Put into a project as ``sitecustomize.py``: its processes die at one place in the code, once.

``CRASH`` is ``module:function:before|after:signal``; the function of that module (or method, ``Class.method``) is
wrapped when the module is imported. The file ``crashed`` says that it happened.
"""

import importlib.abc
import importlib.util
import os
import signal
import sys
from pathlib import Path


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module, names, when, number):
        self.module, self.names, self.when, self.number = module, names.split("."), when, number

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            self.wrap(module)

        spec.loader.exec_module = exec_module
        return spec

    def wrap(self, module):
        *owners, last = self.names
        owner = module
        for one in owners:
            owner = getattr(owner, one)
        inner = getattr(owner, last)

        def crashing(*arguments, **options):
            if self.when == "before":
                self.crash()
            result = inner(*arguments, **options)
            self.crash()
            return result

        setattr(owner, last, crashing)

    def crash(self):
        try:
            (Path(os.environ["CRASH_FOLDER"]) / "crashed").touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), getattr(signal, self.number))


if "CRASH" in os.environ:
    sys.meta_path.insert(0, _Finder(*os.environ["CRASH"].split(":")))
