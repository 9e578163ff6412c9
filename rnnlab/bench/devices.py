"""What contenders compute on: the environment by which a library finds a GPU, or none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rnnlab.core.errors import EnvironmentFault

Device = Literal["cpu", "gpu"]
_DEV = Path("/dev")
_HIDDEN = "CUDA_VISIBLE_DEVICES"
# The variables that make every library compute on a device, where it can. JAX would else choose a processor where it
# cannot use the GPU. Preallocation would leave no memory to what runs beside.
SETTINGS: Mapping[Device, Mapping[str, str]] = {
    "cpu": {_HIDDEN: "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
    "gpu": {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"},
}


def require(device: Device, environment: Mapping[str, str]) -> None:
    """Pass if the machine shows a device to this process; whether a library can use it is found when it is measured.

    Raises:
        EnvironmentFault: It shows no GPU.
    """
    if device == "cpu":
        return
    hint = "leave --device out to measure on the CPU"
    if not [*_DEV.glob("nvidia[0-9]*"), *_DEV.glob("dxg")]:
        raise EnvironmentFault(f"there is no NVIDIA GPU, {_DEV / 'nvidia0'}", where="--device", hint=hint)
    if environment.get(_HIDDEN, "0").strip() in {"", "-1"}:
        hint = f"unset it, or {hint}"
        raise EnvironmentFault(f"the variable {_HIDDEN} hides all GPUs", where="--device", hint=hint)
