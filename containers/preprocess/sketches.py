"""By what rows are known again: some of their digests, which preprocess.json keeps."""

from collections.abc import Sequence

import numpy as np
from stageframe.near_rows import EXACT, Marks, RowMarks, joined
from stageframe.rows import kept, to_texts

Sketch = dict[str, tuple[Marks, np.ndarray]]  # of each kind, with the targets of these rows


def sketch(marks: RowMarks, share: float, x: np.ndarray, y: np.ndarray) -> Sketch:
    """Return what is kept of rows.

    share: of exact digests; x: float64 (rows, columns); y: targets (rows,).
    """
    found = Sketch()
    for kind, (digests, beside, _) in marks(x).items():
        some = kept(digests, share if kind == EXACT else marks.share)
        found[kind] = Marks(digests[some], beside), y[some]
    return found


def as_texts(parts: Sequence[Sketch]) -> dict[str, dict[str, str]]:
    """Return the sketches of a day's blocks, one or more, as preprocess.json has them, by kind."""
    texts = {}
    for kind in parts[0]:
        marks, targets = zip(*(part[kind] for part in parts), strict=True)
        digests, beside, _ = joined([{kind: one} for one in marks])[kind]
        texts[kind] = to_texts(digests, np.concatenate(targets), beside)
    return texts
