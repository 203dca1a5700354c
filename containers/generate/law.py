"""What the rows of a day are drawn from: distributions, and effects on the target, that drift."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DECIMALS = (4,) * 8 + (2,) * 4 + (0,) * 4
LEVELS = {
    "colour": ("red", "green", "blue"),
    "region": ("north", "north-east", "east", "south", "west"),
    "material": ("oak", "pine", "steel", "glass", "brick", "stone", "cork", "felt", "clay", "jute"),
    "supplier": tuple(f"S{number:02}" for number in range(40)),
}
NAMES = [f"x{number:02}" for number in range(1, 17)] + list(LEVELS)
SCORE_SPREAD, SCORE_BIAS = 1.75, -1.28  # a share of 1 of three in ten, a best AUC of about 0.84

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Law(NamedTuple):
    """What the rows of one day are drawn from."""

    centre: Floats  # (16,)
    spread: Floats  # (16,)
    effects: Floats  # (17,) of one spread; the last of columns 0 times 1, which is not linear
    shares: list[Floats]  # (levels,) for each text column, sum 1
    level_effects: list[Floats]  # (levels,) for each text column, mean 0 over the rows
    scale: float  # from the sum of effects to the score


def law_of(world: np.random.Generator, day: int, drift: float) -> Law:
    """Return the law of a day, counted as date.toordinal() does; `world` is fresh of the seed."""

    def wave(size: int) -> Floats:
        period, phase = world.uniform(365, 1095, size), world.uniform(0, 1, size)
        return drift * np.sin(2 * np.pi * (day / period + phase))

    spread = world.uniform(0.5, 2, 16) * 10 ** (2 - np.array(DECIMALS) / 2)
    centre = spread * (world.uniform(-3, 3, 16) + wave(16))
    effects = world.normal(0, 1, 17) + wave(17)
    shares, level_effects = [], []
    for levels in map(len, LEVELS.values()):
        weights = np.exp(world.normal(0, 0.7, levels) + wave(levels))
        shares.append(weights / weights.sum())
        raw = world.normal(0, 1, levels) + wave(levels)
        level_effects.append(raw - raw @ shares[-1])
    # The summands of the score are independent, with mean 0. Brought to one variance, it keeps
    # the share of 1 and the best AUC where they are, whatever drifts.
    variance = effects @ effects + sum(
        share @ effect**2 for share, effect in zip(shares, level_effects, strict=True)
    )
    scale = SCORE_SPREAD / float(variance) ** 0.5
    return Law(centre, spread, effects, shares, level_effects, scale)


def draw(
    rng: np.random.Generator, law: Law, rows: int
) -> tuple[Floats, list[Codes], NDArray[np.bool_]]:
    """Return numbers (16, rows), codes (rows,) of each text column, and the target (rows,)."""
    deviation = rng.standard_normal((16, rows))
    # einsum, unlike the matrix product, adds up in the same order on every machine.
    score = np.einsum("c,cr->r", law.effects[:16], deviation)
    score += law.effects[16] * deviation[0] * deviation[1]
    codes = []
    for shares, effects in zip(law.shares, law.level_effects, strict=True):
        codes.append(np.searchsorted(np.cumsum(shares)[:-1], rng.random(rows), side="right"))
        score += effects[codes[-1]]
    target = rng.random(rows) < 1 / (1 + np.exp(-SCORE_BIAS - law.scale * score))
    return law.centre[:, None] + law.spread[:, None] * deviation, codes, target
