"""Every potential and descriptor of the package, found by walking it, obeys every law."""

import pytest

from adlayer import Descriptor, Potential, Sum, catalogue
from adlayer.checks import LAWS, check_descriptor, check_potential

POTENTIALS = {name: cls for name, cls in catalogue(Potential).items() if cls is not Sum}
DESCRIPTORS = catalogue(Descriptor)


def of_each(classes):
    """All laws of a class by one worker, which then compiles its kernels once."""
    return [pytest.param(cls, id=name, marks=pytest.mark.xdist_group(name)) for name, cls in classes.items()]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cls", of_each(POTENTIALS))
def test_potential(cls, law):
    check_potential(cls, [law])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cls", of_each(DESCRIPTORS))
def test_descriptor(cls, law):
    check_descriptor(cls, [law])


@pytest.mark.parametrize("law", ["rotation", "forces_are_derivatives", "stress_is_derivative", "linearity", "saving"])
def test_sum(law):
    one, other = (POTENTIALS[name](**POTENTIALS[name].small) for name in ("LennardJones", "ReferenceEnergies"))
    total = one + other
    assert isinstance(total, Sum)
    check_potential(total, [law])
