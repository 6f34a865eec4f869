"""Inspect images with an exported model, without torch."""

from ssimae.runtime.runtime import Runtime as Runtime
