"""What a number depends on besides the code."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def describe(packages=()):
    """Return processor, cores, threads, versions, and how many processes wanted to run in the last minute."""
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "rayon_threads": int(os.environ.get("RAYON_NUM_THREADS") or os.cpu_count() or 1),
        "versions": {name: version(name) for name in ("ssimae", "torch", "numpy", *packages)},
    }


def processor():
    """Return the processor's name as its maker gives it, where the system tells."""
    names = [value for field, value in _fields("/proc/cpuinfo") if field == "model name"]
    return names[0] if names else platform.processor()


def cores():
    """Return how many cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available():
    """Return the bytes of memory that can be had, or without bound where the system does not tell."""
    sizes = [1024 * int(value.split()[0]) for field, value in _fields("/proc/meminfo") if field == "MemAvailable"]
    return sizes[0] if sizes else 2**62


def _fields(path):
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return [[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]
