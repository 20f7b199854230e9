"""The state dictionaries that are recognised by their keys, and the loadings that each of them means.

A state dictionary does not say which network it belongs to, nor with which scaling. Each record below is a published
class: its keys, the scaling that its code uses, and how its loadings follow. Rescaling itself happens in
:mod:`meanfield.validation.networks`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .archive import check_shapes


@dataclass(frozen=True)
class KeySet:
    """A class of networks known by the keys of its state dictionary.

    ``shapes`` maps each key to the letters of its axes, ``optional`` are the keys that may be missing, ``ignored``
    those that carry nothing, and ``convert(tensors)`` gives the fields of a network, still in the scaling ``scaling``.
    """

    name: str
    shapes: dict[str, str]
    optional: frozenset[str]
    scaling: str
    convert: Callable
    ignored: frozenset[str] = frozenset()

    @property
    def required(self):
        """Keys without which the class is not recognised."""
        return self.shapes.keys() - self.optional

    def describe(self):
        """Name and keys, the optional ones in brackets."""
        return f"{self.name}: {', '.join(sorted(self.required))} [{', '.join(sorted(self.optional | self.ignored))}]"

    def fits(self, keys):
        """Whether ``keys`` are those of this class: all the required ones and no foreign one."""
        return self.required <= keys <= self.shapes.keys() | self.ignored


def convert(tensors):
    """Fields of a network from the tensors of a state dictionary, with ``scaling`` and ``notes`` among them.

    Raises
    ------
    ValueError
        Keys of no known class, shapes that do not fit, NaN, or a network with a bias.
    """
    keys = tensors.keys()
    known = next((known for known in KEY_SETS if known.fits(keys)), None)
    if known is None:
        hint = " (wrec is a full-rank network: only low-rank ones are read)" if "wrec" in keys else ""
        sets = "; ".join(known.describe() for known in KEY_SETS)
        found = sorted(key[:50] for key in keys)[:30]
        raise ValueError(f"its keys {found} are of no known class{hint}. Known classes [optional keys]: {sets}")
    parts = known.convert(check_shapes(tensors, known.shapes))
    note = f"Read as a state dictionary of {known.name} by its keys: phi = tanh, tau = 1 assumed, dt and noise unknown."
    ignored = [f"Ignored: {', '.join(sorted(known.ignored & keys))}."] if known.ignored & keys else []
    return parts | {"scaling": known.scaling, "notes": [note, *ignored, *parts.get("notes", [])]}


def _low_rank(t):
    """I = wi si, w = wo so; a bias is not part of the model."""
    if np.any(t.get("b", 0.0)):
        raise ValueError("its bias b is not zero: networks with a bias are not read, as the model has none")
    size = len(t["m"])
    parts = {"m": t["m"], "n": t["n"], "x0": t.get("h0"), "notes": []}
    parts["I"] = (t["wi"] * t.get("si", np.ones(len(t["wi"])))[:, None]).T
    parts["w"] = t["wo"] * t.get("so", np.ones(t["wo"].shape[1]))
    if parts["w"].shape[1] == size > 1 and not (parts["w"] - np.diag(np.diag(parts["w"]))).any():
        parts["w"] = np.zeros((size, 0))
        parts["notes"] = ["Every neuron was a readout of its own (a network fitted to rates): no readout is kept."]
    return parts


def _mixture(t):
    """Loading = sum over populations of (weights @ basis) * support + bias * support: the mixture is known exactly."""
    basis, supports = t["gaussian_basis"], t["supports"]
    if not np.isin(supports, (0, 1)).all() or (supports.sum(0) > 1).any():
        raise ValueError("supports must be 0 or 1, with each neuron in at most one population")
    notes, left_out = [], 1 - supports.sum(0)
    kinds = {"m": "m", "n": "n", "I": "wi", "w": "wo"}
    weights = {kind: t[f"{key}_weights"] for kind, key in kinds.items()}
    biases = {kind: t.get(f"{key}_biases", np.zeros(weights[kind].shape[:2])) for kind, key in kinds.items()}
    h0 = t.get("h0_weights", np.zeros((len(supports), len(basis))))
    if left_out.any():
        notes = [f"{int(left_out.sum())} neurons are in no population: without loadings, they are one of their own."]
        supports = np.vstack([supports, left_out])
        weights = {kind: np.pad(value, ((0, 0), (0, 1), (0, 0))) for kind, value in weights.items()}
        biases = {kind: np.pad(value, ((0, 0), (0, 1))) for kind, value in biases.items()}
        h0 = np.pad(h0, ((0, 1), (0, 0)))
    parts = {kind: ((weights[kind] @ basis * supports).sum(1) + biases[kind] @ supports).T for kind in kinds}
    stacked = np.concatenate(list(weights.values()))
    filled = supports.sum(1) > 0
    mixture = (
        supports.sum(1)[filled] / supports.shape[1],
        np.concatenate(list(biases.values())).T[filled],
        np.einsum("apb,cpb->pac", stacked, stacked)[filled],
    )
    population = (np.cumsum(filled) - 1)[supports.argmax(0)]
    x0 = (h0 @ basis * supports).sum(0)
    return parts | {"x0": x0, "mixture": mixture, "population": population, "notes": notes}


KEY_SETS = (
    KeySet(
        name="LowRankRNN",
        shapes={"m": "NR", "n": "NR", "wi": "SN", "wo": "NW", "si": "S", "so": "W", "h0": "N", "b": "N"},
        optional=frozenset({"si", "so", "h0", "b"}),
        scaling="1/N",
        convert=_low_rank,
        ignored=frozenset({"rec_noise"}),
    ),
    KeySet(
        name="SupportLowRankRNN",
        shapes={
            **{"gaussian_basis": "BN", "supports": "PN", "weights": "P", "h0_weights": "PB"},
            **{"m_weights": "RPB", "n_weights": "RPB", "wi_weights": "SPB", "wo_weights": "WPB"},
            **{"m_biases": "RP", "n_biases": "RP", "wi_biases": "SP"},
        },
        optional=frozenset({"weights", "h0_weights", "m_biases", "n_biases", "wi_biases"}),
        scaling="none",
        convert=_mixture,
    ),
)
