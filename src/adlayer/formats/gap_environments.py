"""The settings of QUIP's ``soap`` and ``soap_turbo`` as descriptors, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase.data import atomic_numbers, chemical_symbols

from ..descriptor import Descriptor
from ..descriptors.soap import SOAP
from ..descriptors.turbo_soap import TurboSOAP

_CHANGES = ("nu_r", "nu_s", "z_mix", "r_mix", "sym_mix", "k", "radial_basis", "central_reference_all_species")
_OF_EACH = {
    "sigma": "atom_sigma_r",
    "sigma_t": "atom_sigma_t",
    "growth": "atom_sigma_r_scaling",
    "growth_t": "atom_sigma_t_scaling",
    "amplitude": "amplitude_scaling",
    "central_weight": "central_weight",
}


def read_environments(kind: str, settings: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """``{ClassName: {arguments}}`` of a descriptor.

    Args:
        kind: soap or soap_turbo.
        settings: by their names in lower case.
    """
    elements = [chemical_symbols[int(z)] for z in settings["species_z"].split()]
    if kind == "soap":
        return {"SOAP": {"elements": elements, **_soap(settings)}}
    return {"TurboSOAP": {"elements": elements, **_turbo_soap(settings, elements)}}


def _soap(settings: Mapping[str, str]) -> dict[str, Any]:
    if changed := [k for k in _CHANGES if k in settings and not _is_default(settings[k])]:
        raise ValueError(f"soap with {changed[0]} = {settings[changed[0]]} is not read")
    exponent = float(settings.get("cutoff_dexp", 0))
    decay = [exponent, float(settings.get("cutoff_scale", 1)), float(settings.get("cutoff_rate", 1))]
    return {
        "cutoff": float(settings.get("cutoff", 0)),
        "n_max": int(settings.get("n_max", 0)),
        "l_max": int(settings.get("l_max", 0)),
        "sigma": float(settings.get("atom_sigma", 0)),
        "transition": float(settings.get("cutoff_transition_width", 0.5)),
        "central_weight": float(settings.get("central_weight", 1)),
        "normalize": is_true(settings.get("normalise", settings.get("normalize", "T"))),
        "compression": "diagonal" if is_true(settings.get("diagonal_radial", "F")) else "none",
        "decay": decay if exponent else None,
        "offset": float(settings.get("covariance_sigma0", 0)),
    }


def _turbo_soap(settings: Mapping[str, str], elements: list[str]) -> dict[str, Any]:
    def of_each(name: str) -> dict[str, float]:
        numbers = [float(x) for x in settings.get(name, "").replace("d", "e").split()]
        if len(numbers) != len(elements):
            raise ValueError(f"soap_turbo needs {len(elements)} numbers as {name}, got {settings.get(name, '')!r}")
        return dict(zip(elements, numbers))

    n_max = set(of_each("alpha_max").values())
    if settings.get("scaling_mode", "polynomial") != "polynomial" or len(n_max) > 1:
        raise ValueError("soap_turbo is read with scaling_mode=polynomial and one alpha_max for all species")
    compression = "a file" if "compress_file" in settings else settings.get("compress_mode", "none").lower()
    if compression not in ("none", "trivial"):
        raise ValueError(f"soap_turbo is read uncompressed or with compress_mode=trivial, not {compression}")
    cutoff = float(settings.get("rcut_hard", 0))
    return {
        "cutoff": cutoff,
        "n_max": int(n_max.pop()),
        "l_max": int(settings.get("l_max", 0)),
        "transition": cutoff - float(settings.get("rcut_soft", cutoff)),
        "enhancement": int(settings.get("radial_enhancement", 0)),
        "basis": settings.get("basis", "poly3").strip("\"' "),
        "compression": compression,
        **{ours: of_each(theirs) for ours, theirs in _OF_EACH.items()},
    }


def write_environments(descriptor: Descriptor, normalized: bool) -> list[tuple[str, str]]:
    """QUIP's kind and settings for environments of each element.

    Args:
        descriptor: of environments.
        normalized: whether its features are divided by their norm afterwards.
    """
    Z = [atomic_numbers[e] for e in descriptor.elements]
    common = {"n_species": len(Z), "species_Z": _braced(Z)}
    if isinstance(descriptor, SOAP):
        settings = {**_soap_settings(descriptor, normalized), **common}
        return [("soap", f"{_text(settings)} n_Z=1 Z={{{z}}}") for z in Z]
    if isinstance(descriptor, TurboSOAP):
        settings = {**_turbo_settings(descriptor, normalized), **common}
        return [("soap_turbo", f"{_text(settings)} central_index={k}") for k in range(1, len(Z) + 1)]
    raise TypeError(f"a GAP file holds environments compared by SOAP or TurboSOAP, not by {type(descriptor).__name__}")


def _soap_settings(soap: SOAP, normalized: bool) -> dict[str, Any]:
    S = soap.spectrum
    reasons = {
        f"basis {S.basis}": S.basis != "gaussians",
        f"compression {S.compression}": S.compression not in ("none", "diagonal"),
        "channels": S.channels is not None,
        "a reach other than the cutoff": S.reach != S.cutoff,
        "an offset that is normalized with the rest": bool(normalized and soap.offset),
    }
    if wrong := [reason for reason, holds in reasons.items() if holds]:
        raise ValueError(f"QUIP's SOAP knows no {wrong[0]}")
    values = {
        "cutoff": S.cutoff,
        "cutoff_transition_width": S.transition,
        "n_max": S.n_max,
        "l_max": S.l_max,
        "atom_sigma": S.sigma,
        "central_weight": S.central_weight,
        "normalise": "T" if soap.normalize or normalized else "F",
        "diagonal_radial": "T" if S.compression == "diagonal" else "F",
        "covariance_sigma0": soap.offset,
    }
    if S.decay:
        values |= dict(zip(("cutoff_dexp", "cutoff_scale", "cutoff_rate"), (int(S.decay[0]), *S.decay[1:])))
    return values


def _turbo_settings(turbo: TurboSOAP, normalized: bool) -> dict[str, Any]:
    S = turbo.spectrum
    if S.compression not in ("none", "trivial"):
        raise ValueError(f"QUIP's soap_turbo is not written with compression {S.compression}")
    if not (turbo.normalize or normalized):
        raise ValueError("QUIP's soap_turbo is always normalized")
    n, density = len(turbo.elements), S.separable[0]
    densities = S.separable if len(S.separable) == n else [density] * n
    own = {name: [getattr(d, name) for d in densities] for name in _OF_EACH if name != "central_weight"}
    own["central_weight"] = S.central_weight
    return {
        "rcut_hard": S.cutoff,
        "rcut_soft": density.soft,
        "l_max": S.l_max,
        "alpha_max": _braced([S.n_max] * n),
        **{_OF_EACH[name]: _braced(numbers) for name, numbers in own.items()},
        "basis": density.basis,
        "scaling_mode": "polynomial",
        "radial_enhancement": density.enhancement,
        **({"compress_mode": "trivial"} if S.compression == "trivial" else {}),
    }


def _braced(numbers) -> str:
    return f"{{{' '.join(map(str, numbers))}}}"


def _text(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


def is_true(text: str) -> bool:
    """Of Fortran's ways to say so."""
    return text.strip().upper() in ("T", "TRUE", ".TRUE.", "YES", "1")


def _is_default(text: str) -> bool:
    return text.strip().upper() in ("F", "FALSE", "0", "EQUISPACED_GAUSS")
