"""What a full-rank training has learned, as structure beside the random connectivity that it started from."""

import numpy as np
import pytest
from meanfield.validation import FullRank, LowRank, get_task, train
from meanfield.validation.training.learned import learned_by, start_of
from meanfield.validation.training.parametrisations import connections

SHORT = get_task("rdm", fixation=20, stimulus=60, delay=20, decision=40)
FAST = {"steps": 3, "batch": 4, "validate_every": 3, "validation_trials": 4, "seed": 5}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_knows_where_it_started(dtype):
    still = train(SHORT, FullRank(24, gain=0.9), learning_rate=1e-12, dtype=dtype, **FAST)
    J0 = start_of(still)
    np.testing.assert_allclose(connections(still.network), J0, rtol=0, atol=1e-9)
    assert np.sqrt(24 * J0.var()) == pytest.approx(0.9, abs=4 * 0.9 / 24 / np.sqrt(2) * 2)


def test_the_change_is_what_the_training_did():
    trained = train(SHORT, FullRank(24, gain=0.9), learning_rate=0.02, **FAST)
    found = learned_by(trained, rank=2)
    assert found.rank == 2 and found.input_names == SHORT.inputs
    change = connections(trained.network) - start_of(trained)
    np.testing.assert_allclose(found.singular_values, np.linalg.svd(change)[1], atol=1e-12)
    np.testing.assert_allclose(connections(found.network), connections(trained.network), atol=1e-12)


def test_other_trainings_have_no_start_of_their_own():
    low = train(SHORT, LowRank(24, 1), **FAST)
    with pytest.raises(ValueError, match="only a full-rank training has a J0: this is one of LowRank"):
        start_of(low)
    again = train(SHORT, FullRank(24), start=low.network, **FAST)
    with pytest.raises(ValueError, match="keep its J0 and pass it"):
        learned_by(again)
    assert learned_by(again, connections(low.network), rank=1).rank == 1
