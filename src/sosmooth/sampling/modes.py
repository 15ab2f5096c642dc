"""Evaluation mode: which torch modules a classifier consists of, and the modes they are in."""

from __future__ import annotations

import functools
import sys
import sysconfig
import threading
import types
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from sosmooth.sampling.evaluator import ClassifierError


class EvaluationMode:
    """Puts the modules of a classifier in eval mode while it is entered, again and again.

    Several certifications may use a module at once, in several threads. When the last of them
    leaves, the module returns to the mode in which the first of them found it.

    Args:
        classifier: a module, or any callable; of a callable, the modules that `modules_of` finds.

    Raises:
        ClassifierError: on entering, a part stays in training mode after `eval()`; on leaving, a
            part is in training mode, so it may have been in training mode while the classifier ran.
    """

    def __init__(self, classifier: object):
        self._modules = modules_of(classifier)
        self._parts: list[torch.nn.Module] = []

    def __enter__(self) -> None:
        with _LOCK:
            self._parts = _hold(self._modules)
            try:
                for module in self._modules:
                    _evaluate(module)
                if training := self._training():
                    raise ClassifierError(
                        f"the classifier is still in training mode after eval() ({training}): its"
                        " outputs would depend on chance or on the batch; make eval() reach every"
                        " part of it"
                    )
            except BaseException:
                _release(self._parts)
                raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with _LOCK:
            training = self._training()
            _release(self._parts)
        # If it also failed, as a function that changes may do, this is why.
        if training and (error is None or isinstance(error, ClassifierError)):
            raise ClassifierError(
                f"the classifier was put in training mode while it was evaluated ({training}): its"
                " outputs may depend on chance or on the batch; do not call train() in forward(),"
                " and do not train it at the same time"
            ) from error

    def _training(self) -> str | None:
        """The first part in training mode."""
        for module in self._modules:
            for name, part in module.named_modules():
                if _trains(part):
                    return name or f"the {type(part).__name__} itself"
        return None


@dataclass
class _InUse:
    part: torch.nn.Module
    was_training: bool
    users: int = 0


# By id: a module may define equality. Re-entrant, because `eval()` may be the user's own code.
_IN_USE: dict[int, _InUse] = {}
_LOCK = threading.RLock()


def _hold(modules: list[torch.nn.Module]) -> list[torch.nn.Module]:
    """Count a user of every part of the modules; the parts."""
    parts = {id(part): part for module in modules for part in module.modules()}
    for key, part in parts.items():
        _IN_USE.setdefault(key, _InUse(part, _trains(part))).users += 1
    return list(parts.values())


def _release(parts: list[torch.nn.Module]) -> None:
    """Count one user less of the parts; those without a user return to their modes."""
    for part in parts:
        held = _IN_USE[id(part)]
        held.users -= 1
        if held.users == 0:
            del _IN_USE[id(part)]
            if _trains(part) != held.was_training:
                part.training = held.was_training


def _evaluate(module: torch.nn.Module) -> None:
    try:
        module.eval()
    except NotImplementedError:  # an exported program: its mode is fixed, and this is only a flag
        for part in module.modules():
            part.training = False


def _trains(part: torch.nn.Module) -> bool:
    return getattr(part, "training", False)  # a frozen script module has no modes


def modules_of(classifier: object) -> list[torch.nn.Module]:
    """The torch modules that a call of `classifier` can reach, without their registered parts.

    The search follows what a function closes over, its defaults and the globals that it names, the
    arguments of a `functools.partial`, the object of a bound method, the attributes and methods of
    objects and classes, hooks, lists, tuples, sets and dictionaries. It leaves out the globals and
    classes of installed packages. It does not see modules that the classifier gets in another way
    when it runs.
    """
    found: list[torch.nn.Module] = []
    registered: set[int] = set()
    seen: dict[int, object] = {}  # keeps the objects alive, so that no id is used twice
    waiting: deque[object] = deque([classifier])
    while waiting and len(seen) < _MOST_OBJECTS:
        one = waiting.popleft()
        if id(one) in seen or isinstance(one, _PLAIN):
            continue
        seen[id(one)] = one
        if isinstance(one, torch.nn.Module) and id(one) not in registered:
            found.append(one)
            registered.update(id(part) for part in one.modules())
        waiting.extend(_held_by(one))
    return found


_MOST_OBJECTS = 100_000
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, types.ModuleType)
#: Attributes that every module has and that hold no other module.
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module())) - {
    "_modules",
    "_forward_hooks",
    "_forward_pre_hooks",
}
# Packages whose objects hold no classifier of a user, but much else.
_WITHOUT_CLASSIFIERS = sys.stdlib_module_names | {"torch", "numpy", "scipy"}
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def _held_by(one: Any) -> Iterable[object]:
    """The objects that a call of `one` may use."""
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, list | tuple | set | frozenset):
        return list(one)
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, types.MethodType):
        return [one.__self__, one.__func__]
    if isinstance(one, staticmethod | classmethod):
        return [one.__func__]
    if isinstance(one, property):
        return [one.fget]
    if isinstance(one, types.FunctionType):
        return list(_held_by_function(one))
    return list(_held_by_object(one))


def _held_by_function(function: types.FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet filled
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    if _is_installed(_root_of(function)):
        return
    names = _names(function.__code__)
    for value in [function.__globals__.get(name) for name in names]:
        yield value
        if isinstance(value, types.ModuleType) and not _is_installed(_root(value.__name__)):
            yield from [vars(value).get(name) for name in names]


def _names(code: types.CodeType) -> set[str]:
    """The names that code looks up, those of the functions inside included."""
    inner = [_names(value) for value in code.co_consts if isinstance(value, types.CodeType)]
    return set(code.co_names).union(*inner)


def _held_by_object(one: Any) -> Iterator[object]:
    is_module = isinstance(one, torch.nn.Module)
    plain = _root_of(type(one)) in _WITHOUT_CLASSIFIERS
    if not isinstance(one, type) and (is_module or not plain):
        for name, value in vars(one).items() if hasattr(one, "__dict__") else ():
            if not (is_module and name in _OF_EVERY_MODULE):
                yield value
    for kind in (one if isinstance(one, type) else type(one)).__mro__:
        if _is_installed(_root_of(kind)):
            continue
        for name, value in vars(kind).items():
            # The object itself has the values of slots.
            in_slot = isinstance(value, types.MemberDescriptorType)
            yield getattr(one, name, None) if in_slot else value


def _root_of(one: Any) -> str:
    """The package that a function or class belongs to."""
    return _root(str(getattr(one, "__module__", "")))


def _root(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def _is_installed(package: str) -> bool:
    """Whether it is an installed library, whose code names no classifier of a user."""
    if package in _WITHOUT_CLASSIFIERS:
        return True
    return str(getattr(sys.modules.get(package), "__file__", "")).startswith(_INSTALLED)
