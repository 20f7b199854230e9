"""The fields of a network in an ``.npz`` file; the table is in the documentation, page "Networks"."""

import json
import math

from meanfield.conventions import check_array

from .archive import check_shapes, read_array

_NUMBERS = ("tau", "dt", "alpha", "noise_std")
_TEXTS = ("name", "nonlinearity", "readout_nonlinearity", "task", "task_options")
_FOREIGN = ("scaling", "euler", "source", "licence")
_MIXTURE = ("mix_weights", "mix_mean", "mix_cov")
_KNOWN = {*_NUMBERS, *_TEXTS, *_FOREIGN, *_MIXTURE, "mix_g", "population", "random", "equation"}
_KNOWN |= {"m", "n", "I", "w", "h0", "input_names", "readout_names", "notes"}


def read_fields(archive):
    """Fields of a network from an ``.npz`` archive, ``scaling`` and ``notes`` among them; unknown ones are not read.

    Raises
    ------
    ValueError
        A field that is missing, has a wrong shape or type, is not finite, or contradicts another.
    """
    members = {name.removesuffix(".npy"): name for name in archive.sizes}
    missing = [name for name in ("m", "n", "I", "w") if name not in members]
    if missing:
        raise ValueError(
            f"field {missing[0]!r} is missing: got {sorted(members)[:30]}, "
            "expected m and n (N, R), I (N, S) and w (N,) or (N, W)"
        )
    fields = {key: read_array(archive.read(name), name) for key, name in members.items() if key in _KNOWN}
    w = fields["w"]
    fields["w"] = w[:, None] if w.ndim == 1 else w
    parts = check_shapes(fields, {"m": "NR", "n": "NR", "I": "NS", "w": "NW", "h0": "N"})
    parts["x0"] = parts.pop("h0", None)
    texts = {key: _text(fields, key) for key in _TEXTS if key in fields}
    notes = [f"In the file: {key}: {_text(fields, key)}." for key in _FOREIGN if key in fields]
    times, assumed = _times(fields)
    if "nonlinearity" not in texts:
        assumed.append("phi = tanh is assumed: the file has no field nonlinearity.")
    if texts.get("readout_nonlinearity") == "identity":
        assumed.append("The readout is z = (1/N) w.x, on x itself; the theory's readout is on phi(x).")
    if unused := sorted(members.keys() - _KNOWN):
        assumed.append(f"Fields without a meaning here: {', '.join(unused[:20])}.")
    parts |= times | {
        "transfer": texts.get("nonlinearity", "tanh"),
        "readout_transfer": texts.get("readout_nonlinearity"),
        "task": texts.get("task", ""),
        "task_options": _options(texts.get("task_options", "{}")),
        "population": fields.get("population"),
        "random": fields.get("random"),
        "scaling": "1/N",
        "notes": _texts(fields, "notes") if "notes" in fields else [*assumed, *notes],
        "ours": "notes" in fields,
    }
    parts |= {key: _texts(fields, key) for key in ("input_names", "readout_names") if key in fields}
    if texts.get("name"):
        parts["name"] = texts["name"]
    if any(key in fields for key in _MIXTURE):
        parts["mixture"] = _mixture(fields)
    return parts


def _mixture(fields):
    missing = [key for key in _MIXTURE if key not in fields]
    if missing:
        raise ValueError(f"field {missing[0]!r} is missing: a mixture needs {', '.join(_MIXTURE)}")
    arrays = check_shapes(fields, {"mix_weights": "P", "mix_mean": "PA", "mix_cov": "PAA"})
    return (*(arrays[key] for key in _MIXTURE), *([fields["mix_g"]] if "mix_g" in fields else []))


def _times(fields):
    """tau, dt and noise_std, and what had to be assumed; dt / tau may be given as alpha instead."""
    given = {key: check_number(key, fields[key], positive=key != "noise_std") for key in _NUMBERS if key in fields}
    alpha, assumed = given.pop("alpha", None), []
    if "tau" not in given:
        given["tau"] = given["dt"] / alpha if alpha and "dt" in given else 1.0
        assumed += [] if alpha and "dt" in given else ["tau = 1 is assumed: the file has no field tau."]
    if alpha:
        dt = given.setdefault("dt", alpha * given["tau"])
        if not math.isclose(dt, alpha * given["tau"], rel_tol=1e-6):  # 1e-6: numbers may have been saved in float32
            raise ValueError(f"alpha must be dt / tau: got alpha = {alpha:g}, dt = {dt:g}, tau = {given['tau']:g}")
    if given.get("noise_std"):
        assumed.append(f"noise_std = {given['noise_std']:g} is added to x per Euler step, not scaled by sqrt(dt).")
    return given, assumed


def _text(fields, key):
    array = fields[key]
    if array.dtype.kind != "U" or array.ndim:
        raise ValueError(f"{key} must be a text: got {array.dtype} of shape {array.shape}")
    return str(array.item())


def _texts(fields, key):
    array = fields[key]
    if array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"{key} must be a list of texts: got {array.dtype} of shape {array.shape}")
    return tuple(str(text) for text in array.tolist())


def _options(text):
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ValueError(f"task_options must be a JSON object: {error}") from None
    if not isinstance(options, dict):
        raise ValueError(f"task_options must be a JSON object: got {type(options).__name__}")
    return options


def check_number(what, value, positive=False):
    """``value`` as a float that is finite and at least 0, or above 0 where it must be ``positive``."""
    number = float(check_array(what, value, ()))
    if number < 0 or (positive and number == 0):
        raise ValueError(f"{what} must be {'positive' if positive else 'at least 0'}: got {number:g}")
    return number
