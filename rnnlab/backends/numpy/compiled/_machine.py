"""This processor as LLVM sees it, and code made for it."""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, final

from llvmlite import binding, ir

_LARGEST = 64  # bytes


@cache
def features() -> Any:
    """Return what the processor can do, by LLVM's names."""
    return binding.get_host_cpu_features()


@cache
def vector_bytes() -> int:
    """Return the size of a vector register."""
    wanted = {_LARGEST: "avx512f", 32: "avx"}
    return next((size for size, name in wanted.items() if features().get(name)), 16)


@cache
def registers() -> int:
    """Return how many vector registers there are."""
    many = features().get("avx512f") or binding.get_default_triple().startswith(("aarch64", "arm64"))
    return 32 if many else 16


def describe() -> dict[str, Any]:
    """Return the compiler's version, and the processor as it sees it."""
    return {
        "llvm": ".".join(map(str, binding.llvm_version_info)),
        "processor": binding.get_host_cpu_name(),
        "vector_bits": 8 * vector_bytes(),
    }


def _machine() -> Any:
    """Return what code is made for; an engine takes it for its own, so each has another."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features().flatten(), opt=3, jit=True, reloc="default"
    )


@final
class Program:
    """The functions of a module as machine code; it lives as long as this object."""

    def __init__(self, module: ir.Module) -> None:
        module.triple = binding.get_default_triple()
        parsed = binding.parse_assembly(str(module))
        parsed.verify()
        options = binding.create_pipeline_tuning_options(speed_level=3)
        machine = _machine()
        builder = binding.create_pass_builder(machine, options)
        builder.getModulePassManager().run(parsed, builder)
        self._engine = binding.create_mcjit_compiler(parsed, machine)
        self._engine.finalize_object()

    def function(self, name: str, arguments: Sequence[type]) -> Callable[..., None]:
        """Return a function that gives nothing, by its name and the C types of its arguments."""
        function = ctypes.CFUNCTYPE(None, *arguments)(self._engine.get_function_address(name))
        function.program = self  # type: ignore[attr-defined]  # else its code would be gone
        return function
