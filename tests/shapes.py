"""Shapes are types: imported before adlayer, this has jaxtyping and beartype check the shapes of every call.

Only functions with the shape of a tensor in their signature are wrapped, so that kernels, which Numba compiles as they
are written, stay as they are; and the wrapper steps aside for torch.compile and torch.export, which do not see through
the checks.
"""

import dataclasses
import functools
import inspect
import re

import beartype
import jaxtyping
import torch

SHAPE = re.compile(r"""\[\w+, ["']""")  # as in Float[Tensor, "atoms 3"]
_jaxtyped = jaxtyping.jaxtyped


def checked(thing=None, typechecker=None):
    """Stands in for ``jaxtyping.jaxtyped``, by which its import hook decorates every function and class."""
    if thing is None:
        return checked
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
            thing.__init__ = checked(thing.__init__)
        return thing
    everything = thing.__annotations__
    shapes = {name: a for name, a in everything.items() if SHAPE.search(str(a))}
    if not shapes:
        return thing
    thing.__annotations__ = shapes
    with_checks = _jaxtyped(thing, typechecker=beartype.beartype)
    thing.__annotations__ = everything

    @functools.wraps(thing)
    def wrapper(*args, **kwargs):
        return (thing if torch.compiler.is_compiling() else with_checks)(*args, **kwargs)

    return wrapper


jaxtyping.jaxtyped = checked
jaxtyping.install_import_hook("adlayer", None)
