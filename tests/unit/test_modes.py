"""Training mode is found wherever the module is, and no certification changes it for another."""

import functools
import threading
import types

import numpy as np
import pytest
import torch
from torch import nn

from sosmooth import SmoothedClassifier
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.modes import EvaluationMode, modules_of

INPUT = torch.full((1, 8), 0.5)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 3)
    ).train()


GLOBAL = network()


class Holder:
    """A callable object, and one with slots and a method, that hold a module in some way."""

    def __init__(self, module):
        self.parts = {"all": [(module,)]}

    def __call__(self, x):
        return self.parts["all"][0][0](x)

    def scores(self, x):
        return self(x)


class Slotted:
    __slots__ = ("module",)

    def __init__(self, module):
        self.module = module

    def __call__(self, x):
        return self.module(x)


class OfClass:
    module: nn.Module

    @classmethod
    def scores(cls, x):
        return cls.module(x)

    @staticmethod
    def also(x):
        return OfClass.module(x)


class WithProperty:
    @property
    def module(self):
        return GLOBAL


class Unregistered(nn.Module):
    """Its eval() does not reach the parts in the list."""

    def __init__(self, module):
        super().__init__()
        self.parts = [module]

    def forward(self, x):
        return self.parts[0](x)


def of_two(module, x, *, more=None):
    return module(x)


def undecorated(module):
    @functools.wraps(of_two)
    def inner(x):
        return (lambda y: module(y))(x)

    return torch.no_grad()(inner)


def hooked(module):
    identity = nn.Identity()
    identity.register_forward_hook(lambda part, given, output: module(given[0]))
    return identity


def of_class(module):
    OfClass.module = module
    return OfClass


def of_python_module(module):
    holder.network = module
    return lambda x: holder.network(x)


holder = types.ModuleType("holder")
WRAPPED = {
    "module": lambda module: module,
    "lambda": lambda module: lambda x: module(x),
    "default": lambda module: lambda x, m=module: m(x),
    "nested": undecorated,
    "partial": lambda module: functools.partial(of_two, module),
    "partial of a lambda": lambda module: functools.partial(lambda x, m: m(x), m=module),
    "bound method": lambda module: module.forward,
    "method of an object": lambda module: Holder(module).scores,
    "object": Holder,
    "slots": Slotted,
    "hook": lambda module: hooked(module),
    "class method": lambda module: of_class(module).scores,
    "static method": lambda module: of_class(module).also,
    "class attribute": lambda module: of_class(module)().also,
    "global of a python module": lambda module: of_python_module(module),
    "module in a list": Unregistered,
    "list of functions": lambda module: (lambda steps: lambda x: steps[0](x))([module.forward]),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_module_is_put_in_eval_mode_wherever_it_is_and_back(wrap):
    module = network()
    classifier = wrap(module)
    settings = {"method": "first_order", "n": 2000}
    found = SmoothedClassifier(classifier, sigma=0.5, num_classes=3, batch_size=500).certify(
        INPUT, **settings
    )
    assert all(part.training for part in module.modules())
    expected = SmoothedClassifier(module.eval(), sigma=0.5, num_classes=3, batch_size=500).certify(
        INPUT, **settings
    )
    assert found.tally.count_top == expected.tally.count_top


def test_a_global_that_a_function_names_is_found():
    assert modules_of(lambda x: GLOBAL(x)) == [GLOBAL]
    assert modules_of(lambda x: [(lambda: GLOBAL(y))() for y in x]) == [GLOBAL]
    assert modules_of(lambda x: WithProperty().module(x)) == [GLOBAL]
    assert modules_of(torch.nn.functional.relu) == []
    assert modules_of(lambda x: torch.nn.functional.dropout(x)) == []


class Trains(nn.Module):
    """Switches itself to training mode, and either back or not."""

    def __init__(self, module, back):
        super().__init__()
        self.module, self.back = module, back

    def forward(self, x):
        self.train()
        scores = self.module(x)
        self.train(not self.back)
        return scores


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: lambda x: m(x)])
def test_a_module_that_calls_train_in_forward_is_refused(wrap):
    class AfterEvaluating(nn.Linear):
        def forward(self, input):
            scores = super().forward(input)
            self.train()
            return scores

    module = AfterEvaluating(8, 3)
    arguments = {"method": "first_order", "n0": 10, "n": 100, "alpha": 0.1, "seed": 0}
    smoothed = SmoothedClassifier(wrap(module), sigma=0.5, num_classes=3, batch_size=500)
    with pytest.raises(ClassifierError, match=r"put in training mode while .*do not call train"):
        next(smoothed.sample(INPUT, **arguments))
    for back, said in ((False, "put in training mode"), (True, "not a fixed function")):
        smoothed = SmoothedClassifier(
            wrap(Trains(network(), back)), sigma=0.5, num_classes=3, batch_size=500
        )
        with pytest.raises(ClassifierError, match=said):
            smoothed.certify(INPUT, n=1000)
        with pytest.raises(ClassifierError, match=said):
            smoothed.predict(INPUT, n=1000)


@pytest.mark.parametrize("part_first", [True, False])
def test_a_module_returns_to_its_mode_when_its_last_user_leaves(part_first):
    module = network()
    users = [EvaluationMode(module[3]), EvaluationMode(lambda x: module(x))]
    first, last = users if part_first else users[::-1]
    first.__enter__()
    last.__enter__()
    first.__exit__(None, None, None)
    assert not module[3].training
    last.__exit__(None, None, None)
    assert all(part.training for part in module.modules())


def test_two_certifications_of_one_module_at_the_same_time():
    """The shorter one ends while the longer one continues; both give the same as alone."""
    module, entered, ended = network(), threading.Event(), threading.Event()

    def long(x):
        if not entered.is_set():
            entered.set()
            assert ended.wait(60)
        return module(x)

    settings = {"method": "first_order", "n": 5000}
    options = {"sigma": 0.5, "num_classes": 3, "batch_size": 500}
    found = []
    longer = threading.Thread(
        target=lambda: found.append(SmoothedClassifier(long, **options).certify(INPUT, **settings))
    )
    longer.start()
    assert entered.wait(60)
    shorter = SmoothedClassifier(module, **options).certify(INPUT, **settings)
    ended.set()
    longer.join(60)
    assert module[3].training
    alone = SmoothedClassifier(network().eval(), **options).certify(INPUT, **settings)
    assert found[0].tally.count_top == shorter.tally.count_top == alone.tally.count_top


def test_modes_are_restored_between_the_inputs_of_sample():
    module = network()
    smoothed = SmoothedClassifier(module, sigma=0.5, num_classes=3, batch_size=500)
    arguments = {"method": "first_order", "n0": 10, "n": 100, "alpha": 0.1, "seed": 0}
    for _ in smoothed.sample(INPUT.expand(3, 8), **arguments):
        assert module.training
        module.train()


def test_an_exported_program_that_refuses_eval_is_taken_as_it_is():
    class Exported(nn.Module):
        def train(self, mode=True):
            raise NotImplementedError("Calling eval() is not supported yet.")

        def forward(self, x):
            return x[:, :3]

    program = Exported()
    smoothed = SmoothedClassifier(lambda x: program(x), sigma=0.5, num_classes=3, batch_size=500)
    assert smoothed.certify(INPUT, n=1000).prediction.shape == (1,)


def test_installed_packages_are_not_looked_through():
    """Their globals hold much, but no classifier of a user."""
    assert modules_of(lambda x: (pytest, np.linalg, torch.nn.functional, nn.Dropout)) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_frozen_script_has_no_modes():
    frozen = torch.jit.freeze(torch.jit.script(network().eval()))
    smoothed = SmoothedClassifier(frozen, sigma=0.5, num_classes=3, batch_size=500)
    assert smoothed.certify(INPUT, n=1000).prediction.shape == (1,)
