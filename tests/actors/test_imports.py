"""What a spawned process pays for: an import of ddpzero.actors brings neither torch nor hydra nor numba."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["ddpzero.actors", "ddpzero.actors.process", "ddpzero.replay"])
def test_importing_it_stays_light(module):
    program = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'hydra', 'omegaconf', 'numba'} & set(sys.modules)\n"
        "print(*sorted(heavy))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr
