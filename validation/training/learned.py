"""What a full-rank training has learned: the change of its connectivity, as structure beside the random start."""

import numpy as np

from ..learned import learned_structure
from ..tasks.catalogue import described_task
from .batches import START
from .parametrisations import FullRank, connections


def start_of(trained):
    """The connectivity J0 (N, N) from which a full-rank training with one random start began.

    Raises
    ------
    ValueError
        A training of another kind, on a task that is not of the catalogue, or one that was begun elsewhere.
    """
    options = trained.options
    kind = dict(options["parametrisation"])
    if kind.pop("kind") != "FullRank":
        raise ValueError(f"only a full-rank training has a J0: this is one of {options['parametrisation']['kind']}")
    if options["start"] is not None or options["starts"] > 1:
        raise ValueError("this training did not begin with the random numbers of its seed: keep its J0 and pass it")
    params = FullRank(**kind).init(described_task(options["task"]), [options["seed"], START])
    # as the training saw it
    return params["J"].astype(options["dtype"]).astype(float) / kind["n_neurons"]


def learned_by(trained, J0=None, **options):
    """The structure that a full-rank training added to its random start.

    The theory of g chi + (1/N) m n^T applies to it as far as the result says, e.g.
    ``meanfield.dmft.stationary(result.connectivity)``.

    Parameters
    ----------
    trained : Trained
    J0 : (N, N) array, optional
        Where the training began; default :func:`start_of`.
    **options
        Of :func:`~meanfield.validation.learned_structure`: ``rank``, ``level``.

    Returns
    -------
    LearnedStructure

    Raises
    ------
    ValueError
        See :func:`start_of` and :func:`~meanfield.validation.learned_structure`.
    """
    net = trained.network
    if net is None:
        raise ValueError("this training has a mixture for its result and no network")
    J0 = start_of(trained) if J0 is None else np.asarray(J0, float)
    inputs, readouts = (dict(zip(names, array.T, strict=True)) for names, array in
                        ((net.input_names, net.I), (net.readout_names, net.w)))  # fmt: skip
    return learned_structure(connections(net), J0, inputs, readouts, transfer=net.transfer, tau=net.tau, **options)
