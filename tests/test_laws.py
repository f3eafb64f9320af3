"""Every potential and descriptor of the package, found by walking it, obeys every law."""

import pytest

from adlayer import Descriptor, Potential, Sum, catalogue
from adlayer.checks import check_descriptor, check_potential

POTENTIALS = {name: cls for name, cls in catalogue(Potential).items() if cls is not Sum}
DESCRIPTORS = catalogue(Descriptor)


@pytest.mark.parametrize("name", POTENTIALS)
def test_potential(name):
    check_potential(POTENTIALS[name])


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptor(name):
    check_descriptor(DESCRIPTORS[name])


def test_sum():
    parts = [POTENTIALS[name](**POTENTIALS[name].small) for name in ("LennardJones", "ReferenceEnergies")]
    total = parts[0] + parts[1]
    assert isinstance(total, Sum)
    check_potential(total, ["rotation", "forces_are_derivatives", "stress_is_derivative", "linearity", "saving"])
