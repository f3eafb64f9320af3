"""Where molecules are packed: a cell, a layer of it, a ball, a cylinder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


class Region(ABC):
    """A part of space, bounded or periodic."""

    volume: float  # Å³
    width: float  # Å: what is wider than this in all directions does not fit

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """``n`` points inside, uniformly."""

    @abstractmethod
    def back(self, points: np.ndarray) -> np.ndarray:
        """The shortest vectors that bring points inside; zero for those that are."""


@dataclass(frozen=True)
class Cell(Region):
    """A whole periodic cell."""

    cell: np.ndarray

    @property
    def volume(self) -> float:
        return float(abs(np.linalg.det(self.cell)))

    @property
    def width(self) -> float:
        return np.inf

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random((n, 3)) @ self.cell

    def back(self, points: np.ndarray) -> np.ndarray:
        return np.zeros_like(points)


@dataclass(frozen=True)
class Layer(Region):
    """Between two heights, periodic in the plane of two vectors; a slit, a film."""

    plane: np.ndarray  # [2, 3]
    low: float
    high: float

    @property
    def normal(self) -> np.ndarray:
        n = np.cross(*self.plane)
        return n / np.linalg.norm(n)

    @property
    def volume(self) -> float:
        return float(np.linalg.norm(np.cross(*self.plane)) * self.width)

    @property
    def width(self) -> float:
        return self.high - self.low

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random((n, 2)) @ self.plane + rng.uniform(self.low, self.high, n)[:, None] * self.normal

    def back(self, points: np.ndarray) -> np.ndarray:
        h = points @ self.normal
        return (np.clip(h, self.low, self.high) - h)[:, None] * self.normal


@dataclass(frozen=True)
class Ball(Region):
    """All within a radius of a point."""

    radius: float
    center: np.ndarray

    @property
    def volume(self) -> float:
        return 4 / 3 * np.pi * self.radius**3

    @property
    def width(self) -> float:
        return 2 * self.radius

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        u = rng.normal(size=(n, 3))
        return self.center + u / np.linalg.norm(u, axis=1)[:, None] * self.radius * rng.random((n, 1)) ** (1 / 3)

    def back(self, points: np.ndarray) -> np.ndarray:
        return _inward(points - self.center, self.radius)


@dataclass(frozen=True)
class Cylinder(Region):
    """All within a radius of an axis, periodic along it."""

    radius: float
    center: np.ndarray
    period: np.ndarray  # the vector that repeats, along the axis

    @property
    def volume(self) -> float:
        return float(np.pi * self.radius**2 * np.linalg.norm(self.period))

    @property
    def width(self) -> float:
        return 2 * self.radius

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        across = np.linalg.svd(self.period[None])[2][1:]
        angle, r = rng.uniform(0, 2 * np.pi, n), self.radius * np.sqrt(rng.random(n))
        u = (r * np.array([np.cos(angle), np.sin(angle)])).T @ across
        return self.center + u + rng.random((n, 1)) * self.period

    def back(self, points: np.ndarray) -> np.ndarray:
        axis = self.period / np.linalg.norm(self.period)
        x = points - self.center
        return _inward(x - (x @ axis)[:, None] * axis, self.radius)


def _inward(x: np.ndarray, radius: float) -> np.ndarray:
    r = np.linalg.norm(x, axis=1, keepdims=True)
    return -x * np.maximum(1 - radius / np.maximum(r, 1e-12), 0)
