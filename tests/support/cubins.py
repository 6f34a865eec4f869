"""What the compiler makes of a kernel without a card: registers, shared memory, and instructions by class.

For any kernel: make a :func:`request` of the types of its parameters and its constants, and :func:`build` it.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CLASSES = {
    "multiply-add": ("FFMA",),
    "add": ("FADD",),
    "multiply": ("FMUL",),
    "two at once": ("FFMA2", "FADD2", "FMUL2"),
    "other float": ("FSETP", "FSEL", "FMNMX", "FCHK", "FSET", "F2F", "F2FP", "HADD2", "HFMA2", "HMUL2", "PRMT"),
    "special": ("MUFU", "I2F", "I2FP", "F2I"),
    "load": ("LDG", "LD"),
    "store": ("STG", "ST"),
    "exchange": ("SHFL", "LDS", "STS", "LDSM", "STSM", "MOVM"),
}
"""Classes of instructions by the stem of their names; all others are integers, predicates, moves and control."""


class Instruction(NamedTuple):
    name: str
    target: int | None
    """Index of the instruction that a branch goes to."""


class Cubin(NamedTuple):
    registers: int
    spilled_bytes: int
    shared_bytes: int
    instructions: tuple[Instruction, ...]
    ttir: str

    def loops(self) -> list[range]:
        """Return the bodies of the loops, in the order of their ends: inner before outer."""
        # The trap behind the last instruction branches to itself.
        return [
            range(instruction.target, index + 1)
            for index, instruction in enumerate(self.instructions)
            if instruction.target is not None and instruction.target < index
        ]

    def count(self, trips: Sequence[float] = ()) -> Counter[str]:
        """Return how many instructions of each class a thread issues, loops taking `trips` rounds in their order."""
        loops = self.loops()
        if len(loops) != len(trips):
            raise ValueError(f"`trips` must say the rounds of {len(loops)} loops, got {len(trips)}")
        counts: Counter[str] = Counter()
        for index, instruction in enumerate(self.instructions):
            rounds = 1.0
            for body, times in zip(loops, trips, strict=True):
                rounds *= times if index in body else 1
            counts[_class_of(instruction.name)] += rounds  # type: ignore[assignment]
        return counts


def _class_of(name: str) -> str:
    stem = name.split(".", maxsplit=1)[0]
    return next((title for title, stems in CLASSES.items() if stem in stems), "integer, control")


def compiler_tools() -> Path:
    """Return the folder of cuobjdump and nvdisasm that Triton ships, or skip the test."""
    pytest.importorskip("triton", reason="needs triton")
    from triton import knobs
    from triton.backends import nvidia

    if knobs.runtime.interpret:
        pytest.skip("needs Triton's compiler: unset TRITON_INTERPRET")
    folder = Path(nvidia.__file__).parent / "bin"
    if not all((folder / tool).exists() for tool in ("ptxas", "cuobjdump", "nvdisasm")):
        pytest.skip(f"needs the CUDA tools that triton ships in {folder}")
    return folder


class Request(NamedTuple):
    """What :func:`build` takes; a function is named, so that another process can find it."""

    module: str
    name: str
    types: tuple[tuple[str, Any], ...]
    constants: tuple[tuple[str, Any], ...]
    capability: int
    num_warps: int = 1
    divisible: frozenset[str] | None = None


def request(
    kernel: Any, types: Mapping[str, Any], constants: Mapping[str, Any], *, capability: int, num_warps: int = 1,
    divisible: Iterable[str] | None = None,
) -> Request:  # fmt: skip
    """Return what names a kernel compiled for a card of a compute capability, such as 90.

    Parameters
    ----------
    kernel
        Function under `triton.jit`.
    types
        Triton's type of each parameter that is no constant: "i32", "*fp32", or a tuple of them.
    constants
        Values of the others; names that the kernel lacks are ignored.
    divisible
        Parameters that are multiples of 16; None for all integers and pointers, as they are for usual images.
    """
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    types = {name: value for name, value in types.items() if name in kernel.arg_names and name not in constants}
    return Request(
        kernel.__module__, kernel.__name__, tuple(types.items()), tuple(constants.items()), capability, num_warps,
        None if divisible is None else frozenset(divisible),
    )  # fmt: skip


_AHEAD: dict[Request, Future[Cubin]] = {}


@contextmanager
def compiled_ahead(requests: Iterable[Request]) -> Iterator[None]:
    """Compile in two processes of their own, while the tests that ask :func:`build` for the results run."""
    missing = [each for each in dict.fromkeys(requests) if each not in _AHEAD]
    if len(missing) < 6:  # Starting processes takes longer.
        yield
        return
    # Spawned, as threads of torch and Rust do not survive a fork.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        _AHEAD.update((each, pool.submit(_build, each)) for each in missing)
        yield


def build(request: Request) -> Cubin:
    """Return a compiled kernel; a session compiles it once."""
    return _AHEAD[request].result() if request in _AHEAD else _build(request)


@functools.cache
def _build(request: Request) -> Cubin:
    folder = compiler_tools()
    kernel = getattr(importlib.import_module(request.module), request.name)
    types, constants, capability, num_warps = request[2:6]
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    found = dict(types) | {name: "constexpr" for name, _ in constants}
    signature = {name: found[name] for name in kernel.arg_names}
    divisible = {
        (place,): [["tt.divisibility", 16]]
        for place, value in enumerate(signature.values())
        if isinstance(value, str)
        and (value.startswith("*") or value in ("i32", "i64"))
        and (request.divisible is None or kernel.arg_names[place] in request.divisible)
    }
    with tempfile.TemporaryDirectory() as scratch, triton.knobs.cache.scope():
        triton.knobs.cache.dir = scratch
        compiled = triton.compile(
            ASTSource(kernel, signature, dict(constants), divisible),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": num_warps, "enable_fp_fusion": True},
        )
        file = Path(scratch, "kernel.cubin")
        file.write_bytes(compiled.asm["cubin"])
        usage, listing = (
            subprocess.run([folder / command[0], *command[1:], file], capture_output=True, text=True, check=True).stdout
            for command in (("cuobjdump", "--dump-resource-usage"), ("nvdisasm", "-c"))
        )
    used = {key: int(value) for key, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}
    return Cubin(
        registers=used["REG"],
        spilled_bytes=used["STACK"] + used["LOCAL"],
        shared_bytes=compiled.metadata.shared,
        instructions=_parse(listing),
        ttir=compiled.asm["ttir"],
    )


_LABEL = re.compile(r"^(\.L_x_\d+):")
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+\s+)?([A-Z][A-Z0-9_.]*)([^;]*);")


def _parse(listing: str) -> tuple[Instruction, ...]:
    labels: dict[str, int] = {}
    lines: list[tuple[str, str | None]] = []
    for line in listing.splitlines():
        if label := _LABEL.match(line):
            labels[label[1]] = len(lines)
        elif (instruction := _INSTRUCTION.search(line)) and instruction[1] != "NOP":
            target = re.search(r"\.L_x_\d+", instruction[2]) if instruction[1].startswith("BRA") else None
            lines.append((instruction[1], target and target[0]))
    return tuple(Instruction(name, None if target is None else labels[target]) for name, target in lines)
