"""Exceptions that are not about bad input; bad input raises ValueError, OSError or TypeError."""

from __future__ import annotations


class SafeguardError(RuntimeError):
    """A safeguard stopped the work before it could do harm."""


class DivergedError(SafeguardError):
    """The training loss became NaN or infinite."""

    def __init__(self, step: int, loss: float, lr: float) -> None:
        super().__init__(
            f"the training loss became {loss} at step {step} (learning rate up to {lr:g}); the last good state is "
            "kept: start again with a lower --lr"
        )


class PlateauError(RuntimeError):
    """A training did not leave the plateau of a constant output in time; other settings may."""

    def __init__(self, step: int, loss: float, plateau: float) -> None:
        super().__init__(f"no better than a constant output after {step} steps: loss {loss:.3f}, against {plateau:.3f}")


class InterruptedRunError(RuntimeError):
    """A signal ended the training; its state, if it has one, was saved."""

    def __init__(self, signal: int, step: int, steps: int) -> None:
        super().__init__(f"interrupted at step {step} of {steps}")
        self.signal = signal
