"""What the tests share: hypothesis profile, trained networks that may stand beside the repository."""

import os
from pathlib import Path

import hypothesis
import pytest

try:
    import meanfield.validation  # noqa: F401
except ModuleNotFoundError:
    pytest.exit("meanfield is not installed: run `make test`, or `pip install -e .` first", returncode=4)

hypothesis.settings.register_profile("meanfield", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.load_profile("meanfield")

if "PYTEST_XDIST_WORKER" in os.environ:  # the tests share out the cores themselves
    from meanfield.validation import workers

    workers.cores = lambda: 1

SHARED = Path(os.environ.get("MEANFIELD_SHARED") or Path(__file__).resolve().parents[2] / "shared")


@pytest.fixture(scope="session")
def shared_networks():
    """The folder of trained networks: ``networks`` in $MEANFIELD_SHARED, or in ../shared seen from the repository."""
    folder = SHARED / "networks"
    if not folder.is_dir():
        pytest.skip(f"the trained networks are not here: {folder} is missing; MEANFIELD_SHARED may name its parent")
    return folder
