"""What a training leaves: a network or a mixture, how it went, and all that is needed to repeat it."""

import enum
import json
import tempfile
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array
from meanfield.mixture import modelfile

from ..archive import Archive, check_shapes, read_array
from ..networks import MAX_BYTES, Network, load_network, save_network

#: Each with its axes: steps or validations.
_HISTORIES = {"loss": "K"} | dict.fromkeys(("validated", "validation_loss", "accuracy", "accuracy_error", "stage"), "V")


class Status(enum.Enum):
    """How a training ended; the value is the sentence a person reads."""

    REACHED = "reached the goal"
    STOPPED_EARLY = "stopped early: the validation loss no longer falls"
    OUT_OF_STEPS = "out of steps"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, eq=False, repr=False)
class Trained:
    """A trained network or mixture.

    Attributes
    ----------
    network : Network or None
        None for a mixture at N to infinity.
    connectivity : Connectivity or None
        The mixture, where one was trained.
    loss : (K,)
        Weighted mean squared error on the training trials, before each of K steps.
    validated : (V,) of int
        Steps after which the network was asked about fresh trials.
    validation_loss, accuracy, accuracy_error : (V,)
        On those: error, share of right decisions and its binomial standard error.
    stage : (V,) of int
        Stage of the shaping, from 0; the last one is the task itself.
    test_accuracy, test_error : float
        Of what was trained, on trials of the task itself that were used for nothing else. Of a mixture: of the N
        neurons through which it was trained, or of N to infinity; ``network`` is drawn anew from it.
    status : Status
    message : str
        What happened, and what to do about it.
    seconds : float
        Time that the training took, that before a checkpoint included.
    options : dict
        Task, parametrisation and all other arguments: what it takes to repeat the training.
    params : dict
        Parameters of the result, as the parametrisation has them.
    """

    network: Network | None
    connectivity: Connectivity | None
    loss: np.ndarray
    validated: np.ndarray
    validation_loss: np.ndarray
    accuracy: np.ndarray
    accuracy_error: np.ndarray
    stage: np.ndarray
    test_accuracy: float
    test_error: float
    status: Status
    message: str
    seconds: float
    options: dict
    params: dict

    @property
    def success(self):
        """Whether the goal was reached; without one, whether all steps were taken or the loss no longer fell."""
        aim = self.options.get("accuracy") is not None or self.options.get("loss") is not None
        return self.status in ((Status.REACHED,) if aim else (Status.OUT_OF_STEPS, Status.STOPPED_EARLY))

    def __str__(self):
        what = self.network if self.connectivity is None else self.connectivity
        last = f"loss {self.loss[-1]:.3g}" if self.loss.size else "no step"
        return (
            f"{what!r}\n{self.message}: {len(self.loss)} steps in {self.seconds:.3g} s, {last}, "
            f"{self.test_accuracy:.2%} +- {self.test_error:.2%} of fresh trials right"
        )

    def __repr__(self):
        """One line."""
        return f"Trained({self.status.name}, {len(self.loss)} steps, test_accuracy={self.test_accuracy:.3f})"

    def save(self, path):
        """Write all of it to a ``.npz`` file, which is also that of its network; replaced as a whole or not at all.

        Raises
        ------
        ValueError
            The path does not end in ``.npz``.
        OSError
            The file cannot be written.
        """
        path, arrays = Path(path), {}
        if path.suffix != ".npz":
            raise ValueError(f"a training is saved as .npz: got {path.name!r}; use {path.with_suffix('.npz').name!r}")
        if self.network is not None:
            with tempfile.TemporaryDirectory() as folder:
                save_network(self.network, Path(folder, "net.npz"))
                with np.load(Path(folder, "net.npz")) as file:
                    arrays |= dict(file)
        if (c := self.connectivity) is not None:
            arrays |= {"of_weights": c.weights, "of_means": c.means, "of_covariances": c.covariances}
            names = {"rank": c.rank, "inputs": c.inputs, "readouts": c.readouts}
            arrays["of_names"] = np.array(json.dumps(names))
        arrays |= {f"history_{key}": getattr(self, key) for key in _HISTORIES}
        arrays |= {f"param_{key}": value for key, value in self.params.items()}
        about = {key: getattr(self, key) for key in ("test_accuracy", "test_error", "message", "seconds", "options")}
        arrays["training"] = np.array(json.dumps(about | {"status": self.status.name}))
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path):
        """Read what :meth:`save` wrote; nothing in the file is executed.

        Raises
        ------
        OSError
            There is no such file.
        ValueError
            It is not one that was saved so, or damaged; the message starts with the path.
        """
        arrays = read_arrays(path, "training")
        try:
            about = json.loads(str(arrays["training"]))
            values = _checked(about) | check_shapes({key: arrays[f"history_{key}"] for key in _HISTORIES}, _HISTORIES)
            values |= {key: values[key].astype(int) for key in ("validated", "stage")}
            params = {key.removeprefix("param_"): a for key, a in arrays.items() if key.startswith("param_")}
            c, net = _mixture(arrays), load_network(path) if "m" in arrays else None
            return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values}, **_kept(net, c, params))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path}: it is not a whole training: {error}; train and save it again") from error


def _kept(network, connectivity, params):
    return {"network": network, "connectivity": connectivity, "params": params}


def _checked(about):
    """What a file says of a training in words and numbers, each of its kind."""
    number = (int, float)
    kinds = {"test_accuracy": number, "test_error": number, "seconds": number, "message": str, "options": dict}
    for key, kind in kinds.items():
        if not isinstance(about[key], kind):
            raise ValueError(f"its {key} is a {type(about[key]).__name__}")
    return {key: about[key] for key in kinds} | {"status": Status[about["status"]]}


def _mixture(arrays):
    if "of_names" not in arrays:
        return None
    weights, means, covariances = (arrays[f"of_{key}"] for key in ("weights", "means", "covariances"))
    names = json.loads(str(arrays["of_names"]))
    if not 0 < names["rank"] <= means.shape[-1]:  # names are made for each: a large number would fill the memory
        raise ValueError(f"the rank {names['rank']} does not fit to means of shape {means.shape}")
    return Connectivity(weights, means, covariances, names["rank"], names["inputs"], names["readouts"])


def write_arrays(path, arrays):
    """Arrays by name as a ``.npz`` file that appears as a whole or not at all."""
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    modelfile.write(path, buffer.getvalue())


def read_arrays(path, needed):
    """Arrays by name from such a file, of which ``needed`` must be one; no pickles.

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        Another kind of file, or a damaged one.
    """
    try:
        archive = Archive(Path(path).read_bytes(), MAX_BYTES)
        found = {name.removesuffix(".npy"): read_array(archive.read(name), name) for name in archive.sizes}
    except OSError:
        raise
    except Exception as error:  # whatever else the standard readers raise on damaged bytes
        raise ValueError(f"{path}: the file is damaged: {type(error).__name__}: {str(error)[:200]}") from error
    if needed not in found:
        raise ValueError(f"{path}: field {needed!r} is missing: it is another kind of file, with {sorted(found)[:10]}")
    return {key: value if value.dtype.kind == "U" else check_finite(key, value) for key, value in found.items()}


def check_finite(name, value):
    """The array as it is, where all of it is finite."""
    check_array(name, np.asarray(value, float))
    return value.copy()
