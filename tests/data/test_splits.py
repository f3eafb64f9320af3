import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from adlayer import build
from adlayer.data import Dataset, split
from adlayer.data.splits import ByGroup, Random


def dataset(groups: str = "aaaabbbbccdd") -> Dataset:
    frames = []
    for k, group in enumerate(groups):
        atoms = bulk("Cu", cubic=True) if group < "c" else bulk("Ni", cubic=True) * (1, 1, 2)
        atoms.rattle(0.1, seed=k)
        atoms.info.update(group=group, energy=float(k))
        frames.append(atoms)
    return Dataset.from_ase(frames)


def numbers(parts):
    return [p.labels.energy.int().tolist() for p in parts]


@pytest.mark.parametrize("by", ["random", "group"])
def test_parts_are_disjoint_complete_and_reproducible(by):
    data = dataset()
    parts = numbers(split(data, [0.5, 0.5], by=by, seed=3))
    assert sorted(k for p in parts for k in p) == list(range(12))
    assert [len(p) for p in parts] == [6, 6]
    assert parts == numbers(split(data, [0.5, 0.5], by=by, seed=3))
    assert any(parts != numbers(split(data, [0.5, 0.5], by=by, seed=s)) for s in range(4, 12))


def test_a_split_stays_the_same_across_versions():
    assert numbers(split(dataset(), [0.5, 0.25, 0.25], seed=0)) == [[2, 4, 5, 7, 9, 11], [0, 3, 6], [1, 8, 10]]


def test_counts_and_what_is_left_out():
    parts = split(dataset(), [5, 3])
    assert [len(p) for p in parts] == [5, 3]


def test_groups_stay_whole():
    for seed in range(5):
        a, b = split(dataset(), [0.7, 0.3], by="group", seed=seed)
        assert not {d["group"] for d in a.info} & {d["group"] for d in b.info}
        assert len(b) == 4


def test_near_duplicates_stay_together_even_across_groups():
    data = dataset("abcd")
    again = data[0].to_ase()[0]
    again.calc = None
    again.rattle(0.002, seed=0)
    again.positions += [0.1, 0.2, 0.3]
    again.info.update(group="z", energy=9.0)
    data = Dataset.cat([data, Dataset.from_ase(again)])
    for seed in range(8):
        parts = numbers(split(data, [0.5, 0.5], by="group", seed=seed))
        assert any({0, 9} <= set(p) for p in parts)


def test_by_composition_and_other_keys():
    a, b = ByGroup(key="composition")(dataset(), [8, 4])
    assert {a.elements, b.elements} == {("Cu",), ("Ni",)}
    with pytest.raises(ValueError, match="surface"):
        ByGroup(key="surface")(dataset(), [0.5, 0.5])


def test_recipes_name_them():
    assert isinstance(build({"Random": {}}, "data"), Random)
    assert build({"ByGroup": {"key": "composition"}}, "data").key == "composition"


def test_isolated_atoms_are_not_duplicates_of_each_other():
    frames = [Atoms("H", info={"group": "a", "energy": -13.0}), Atoms("H", info={"group": "b", "energy": -13.0})]
    assert [len(p) for p in split(Dataset.from_ase(frames), [1, 1], by="group")] == [1, 1]
    assert np.sum([len(p) for p in split(Dataset.from_ase(frames), [0.5, 0.5])]) == 2
