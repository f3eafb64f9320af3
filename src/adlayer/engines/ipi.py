"""Path-integral molecular dynamics by i-PI, to which any ``Evaluate`` gives the forces of all beads in one batch.

The protocol is i-PI's own: Ceriotti, More and Manolopoulos, Comput. Phys. Commun. 185, 1019 (2014).
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np
import torch

from ..potential import Evaluate, Evaluator, Potential
from ..simulation import fixed_atoms
from ..structures import Structures
from ..units import BOHR, HARTREE

if TYPE_CHECKING:
    from ase import Atoms

_COLUMNS = {
    "step": "step",
    "time{picosecond}": "time (ps)",
    "conserved{electronvolt}": "conserved energy (eV)",
    "temperature{kelvin}": "temperature (K)",
    "kinetic_cv{electronvolt}": "kinetic energy (eV)",
    "potential{electronvolt}": "potential energy (eV)",
}

_INPUT = """<simulation verbosity='low' safe_stride='{safe}'>
  <output prefix='ipi'>
    <properties stride='{record}' filename='properties'> [ {columns} ] </properties>
    <trajectory stride='{frames}' filename='positions' format='xyz'> positions{{angstrom}} </trajectory>
    <checkpoint stride='{safe}'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffsocket name='adlayer' mode='unix' pbc='false'>
    <address> {address} </address> <latency> 1e-4 </latency> <timeout> 600 </timeout>
  </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <forces> <force forcefield='adlayer'/> </forces>
    <motion mode='dynamics'>
      <fixcom> False </fixcom> <fixatoms> {fixed} </fixatoms>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> {relaxation} </tau> </thermostat>
      </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> {temperature} </temperature> </ensemble>
  </system>
</simulation>
"""


@dataclass(frozen=True)
class PathIntegral:
    """What became of a path-integral run."""

    log: dict[str, np.ndarray]  # by name with unit; the kinetic energy is the centroid-virial estimator's
    folder: Path  # with the files of i-PI: positions of each bead, and the restart

    def energy(self, discard: float = 0.2, blocks: int = 10) -> tuple[float, float]:
        """Mean quantum energy and its standard error by blocks, eV, without the first share of the run."""
        total = self.log["kinetic energy (eV)"] + self.log["potential energy (eV)"]
        parts = np.array_split(total[int(discard * len(total)) :], blocks)
        means = np.array([part.mean() for part in parts])
        return float(means.mean()), float(means.std(ddof=1) / blocks**0.5)


def path_integral_md(
    potential: Potential | Evaluate,
    atoms: Atoms,
    folder: Path | str,
    temperature: float = 300.0,
    beads: int = 16,
    picoseconds: float = 10.0,
    timestep: float = 0.5,
    relaxation: float = 100.0,
    record: int = 10,
    frames: int = 100,
    seed: int = 0,
) -> PathIntegral:
    """Canonical path-integral dynamics of one structure (PILE thermostat of Ceriotti, Parrinello, Markland and
    Manolopoulos, J. Chem. Phys. 133, 124104 (2010)).

    Writes i-PI's input into a folder, runs i-PI and serves it. Where the folder holds an unfinished run, that goes on
    from its last checkpoint.

    Args:
        potential: a potential or any ``Evaluate``.
        atoms: the structure; those held by ``FixAtoms`` stay.
        folder: for input, output and checkpoints.
        temperature: K.
        beads: replicas of each atom; several times the highest frequency over temperature, ``h nu / k_B T``.
        picoseconds: length of the run.
        timestep: fs.
        relaxation: of the thermostat on the centroids, fs.
        record: steps between lines of the log.
        frames: steps between frames.
        seed: of all random numbers.
    """
    program = _program()
    evaluate = Evaluator(potential, stress=False) if isinstance(potential, Potential) else potential
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    steps, address = round(1000 * picoseconds / timestep), f"adlayer_{os.getpid()}_{time.time_ns()}"
    fixed = fixed_atoms([atoms]).nonzero()[:, 0].tolist()
    settings = {
        "safe": 10 * record,
        "record": record,
        "frames": frames,
        "columns": ", ".join(_COLUMNS),
        "steps": steps,
        "seed": seed,
        "address": escape(address),
        "beads": beads,
        "temperature": temperature,
        "fixed": fixed,
        "timestep": timestep,
        "relaxation": relaxation,
    }
    if (done := _read_log(folder)) is not None and done["step"][-1] > steps - record:
        return PathIntegral(done, folder)
    if (restart := _checkpoint(folder)) is not None:
        before, rest = restart.split("<address>", 1)
        (folder / "RESTART").write_text(f"{before}<address> {address} </address>{rest.split('</address>', 1)[1]}")
    else:
        (folder / "input.xml").write_text(_INPUT.format(**settings))
        _write_start(folder / "start.xyz", atoms)
    with open(folder / "ipi.log", "a") as log:
        name = "input.xml" if restart is None else "RESTART"
        process = subprocess.Popen([*program, name], cwd=folder, stdout=log, stderr=log)
        try:
            serve(evaluate, atoms, address, beads, process)
            process.wait(60)
        finally:
            _end(process)
    done = _read_log(folder)
    reached = -1 if done is None else int(done["step"][-1])
    if process.returncode or reached <= steps - record:
        last = "".join((folder / "ipi.log").read_text().splitlines(keepends=True)[-5:])
        raise RuntimeError(f"i-PI ended after step {reached} of {steps}; the last words of {folder}/ipi.log: {last}")
    return PathIntegral(done, folder)


def _checkpoint(folder: Path) -> str | None:
    """The newest one that is whole: i-PI writes the first as it is told to end, the second as it goes."""
    files = [f for f in (folder / "RESTART", folder / "ipi.restart") if f.exists()]
    texts = (f.read_text() for f in sorted(files, key=lambda f: f.stat().st_mtime, reverse=True))
    return next((text for text in texts if text.rstrip().endswith("</simulation>")), None)


def _end(process: subprocess.Popen, patience: float = 10.0) -> None:
    """Let i-PI write where it is; its threads may wait for each other forever."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read_log(folder: Path) -> dict[str, np.ndarray] | None:
    """What i-PI wrote so far; of steps that were made again after a kill, the last."""
    path = folder / "ipi.properties"
    if not path.exists() or not path.stat().st_size:
        return None
    data = np.genfromtxt(path, ndmin=2, invalid_raise=False)[::-1]
    data = data[np.isfinite(data).all(1)]
    if not len(data):
        return None
    _, last = np.unique(data[:, 0], return_index=True)
    return {name: data[last, k] for k, name in enumerate(_COLUMNS.values())}


def serve(
    evaluate: Evaluate, atoms: Atoms, address: str, clients: int = 1, process: subprocess.Popen | None = None
) -> None:
    """Give forces to an i-PI that listens on a Unix socket, until it has had enough.

    There are as many connections as structures it may ask at once, which are then evaluated in one batch. The cell is
    that of ``atoms``, in every periodicity; positions are i-PI's.

    Args:
        evaluate: what gives energies and forces.
        atoms: numbers, cell and periodicity.
        address: name of the socket, as in i-PI's input.
        clients: number of connections.
        process: i-PI's, to notice when it ends.
    """
    template, path = Structures.from_ase(atoms), f"/tmp/ipi_{address}"
    sockets = [_connect(path, process)]
    asked: dict[socket.socket, torch.Tensor] = {}
    answers: dict[socket.socket, bytes] = {}
    missing = clients - 1
    try:
        while sockets:
            if missing and (more := _knock(path)):
                sockets.append(more)
                missing -= 1
            waiting = [s for s in sockets if s not in asked]
            ready = select.select(waiting, [], [], 2e-3 if asked or missing else 1.0)[0]
            for s in ready:
                if not _converse(s, asked, answers, template.n_atoms):
                    sockets.remove(s)
                    s.close()
                    missing = 0
            if asked and (not ready or len(asked) == len(sockets)):
                answers |= _answer(evaluate, template, asked)
                asked.clear()
            if not ready and process is not None and process.poll() is not None:
                return
    finally:
        for s in sockets:
            s.close()


def _answer(evaluate: Evaluate, template: Structures, asked: dict) -> dict[socket.socket, bytes]:
    """Energies and forces of all structures that were asked for, in one batch."""
    batch = Structures.cat([template.with_positions(positions) for positions in asked.values()])
    with torch.no_grad():
        said = evaluate(batch)
    energies = (said.energy / HARTREE).tolist()
    forces = (said.forces * (BOHR / HARTREE)).reshape(len(asked), -1).double().cpu().numpy()
    if not np.isfinite(forces).all():
        raise ValueError("forces are not finite numbers: the beads are where the potential means nothing")
    n, rest = struct.pack("i", template.n_atoms), np.zeros(9).tobytes() + struct.pack("i", 0)
    return {s: struct.pack("d", e) + n + f.tobytes() + rest for s, e, f in zip(asked, energies, forces)}


def _converse(s: socket.socket, asked: dict, answers: dict, n_atoms: int) -> bool:
    """One message from i-PI and our reply; False when it says goodbye."""
    try:
        message = _receive(s, 12).decode().strip()
        if message == "STATUS":
            s.sendall((b"HAVEDATA" if s in answers else b"READY").ljust(12))
        elif message == "INIT":
            _receive(s, 4)
            _receive(s, struct.unpack("i", _receive(s, 4))[0])
        elif message == "POSDATA":
            _receive(s, 2 * 72)  # cell and its inverse
            n = struct.unpack("i", _receive(s, 4))[0]
            positions = np.frombuffer(_receive(s, 24 * n)).reshape(n, 3) * BOHR
            if n != n_atoms:
                raise ValueError(f"i-PI has {n} atoms, the structure that is served {n_atoms}")
            asked[s] = torch.from_numpy(positions)
        elif message == "GETFORCE":
            s.sendall(b"FORCEREADY".ljust(12) + answers.pop(s))
        else:
            return False
    except (ConnectionError, EOFError):
        return False
    return True


def _receive(s: socket.socket, n: int) -> bytes:
    parts = b""
    while len(parts) < n:
        if not (part := s.recv(n - len(parts))):
            raise EOFError
        parts += part
    return parts


def _connect(path: str, process: subprocess.Popen | None, patience: float = 60.0) -> socket.socket:
    """Connect as soon as i-PI listens."""
    end = time.time() + patience
    while (s := _knock(path)) is None:
        if (process is not None and process.poll() is not None) or time.time() > end:
            raise RuntimeError(f"i-PI does not listen on {path}; see its log")
        time.sleep(0.05)
    return s


def _knock(path: str) -> socket.socket | None:
    """A connection, if i-PI has time for it: it accepts few at once, and talks to each before the next."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.setblocking(False)
    try:
        s.connect(path)
    except OSError:
        s.close()
        return None
    s.setblocking(True)
    return s


def _write_start(path: Path, atoms: Atoms) -> None:
    """Positions for i-PI, in a cell that means nothing, since it never wraps."""
    head = "# CELL(abcABC): 1000 1000 1000 90 90 90 positions{angstrom} cell{angstrom}"
    rows = [f"{symbol} {x!r} {y!r} {z!r}" for symbol, (x, y, z) in zip(atoms.symbols, atoms.positions.tolist())]
    path.write_text("\n".join([str(len(atoms)), head, *rows, ""]))


def _program() -> list[str]:
    """How to start i-PI."""
    from importlib.util import find_spec
    from shutil import which

    beside = Path(sys.executable).with_name("i-pi")
    if find_spec("ipi") is None or not (beside.exists() or which("i-pi")):
        raise ImportError("path integrals need i-PI: pip install ipi")
    return [sys.executable, str(beside if beside.exists() else which("i-pi"))]
