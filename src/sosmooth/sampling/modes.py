"""Evaluation mode: which torch modules a classifier consists of, and the modes they are in."""

from __future__ import annotations

import functools
import sys
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

    A module may be in use by several certifications at once, in several threads: it goes back to
    the mode in which the first of them found it when the last of them leaves.

    Args:
        classifier: a module, or any callable; of that, the modules that `modules_of` finds.
    Raises:
        ClassifierError: on entering, a part stays in training mode after `eval()`; on leaving, a
            part is in training mode, so that it may have been while the classifier ran.
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
                        " outputs would depend on chance or on the batch; let eval() reach every"
                        " part of it"
                    )
            except BaseException:
                _release(self._parts)
                raise

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with _LOCK:
            training = self._training()
            _release(self._parts)
        if training and error is None:
            raise ClassifierError(
                f"the classifier was put in training mode while it was evaluated ({training}): its"
                " outputs may depend on chance or on the batch; do not call train() in forward(),"
                " nor train it meanwhile"
            )

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
    """The parts have a user less; those with none go back to their modes."""
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
    """The torch modules that a call of `classifier` can reach; parts registered in one are its own.

    Looked through are what a function closes over, its defaults and the globals that it names, the
    arguments of a `functools.partial`, the object of a bound method, the attributes and methods of
    objects, lists, tuples, sets and dictionaries. Modules that are found in another way when the
    classifier runs are not seen.
    """
    found: list[torch.nn.Module] = []
    registered: set[int] = set()
    seen: dict[int, object] = {}  # holds the objects, so that no id is used twice
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
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, types.ModuleType, type)
#: What every module has: nothing in it but the registered parts is part of the classifier.
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module())) - {"_modules"}
# Their functions and objects hold no classifier of a user's, but much else.
_LIBRARIES = sys.stdlib_module_names | {"torch", "numpy", "scipy"}


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
    if not _is_of_library(function):
        for name in _names(function.__code__):
            yield function.__globals__.get(name)


def _names(code: types.CodeType) -> set[str]:
    """The names that code looks up, those of the functions inside included."""
    inner = [_names(value) for value in code.co_consts if isinstance(value, types.CodeType)]
    return set(code.co_names).union(*inner)


def _held_by_object(one: Any) -> Iterator[object]:
    is_module = isinstance(one, torch.nn.Module)
    if is_module or not _is_of_library(type(one)):
        for name, value in vars(one).items() if hasattr(one, "__dict__") else ():
            if not (is_module and name in _OF_EVERY_MODULE):
                yield value
    for kind in type(one).__mro__:
        if _is_of_library(kind):
            continue
        for name, value in vars(kind).items():
            if isinstance(value, types.FunctionType):
                yield value
            elif isinstance(value, types.MemberDescriptorType):  # a slot
                yield getattr(one, name, None)


def _is_of_library(one: Any) -> bool:
    return str(getattr(one, "__module__", "")).partition(".")[0] in _LIBRARIES
