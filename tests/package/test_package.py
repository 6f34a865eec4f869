"""What `import ssimae` brings, and what it can do without."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import ssimae


def test_every_public_name_is_there() -> None:
    assert set(ssimae.__all__) <= set(dir(ssimae))
    for name in ssimae.__all__:
        assert getattr(ssimae, name).__name__ == name
    assert ssimae.__version__ == version("ssimae")
    with pytest.raises(AttributeError, match="nothing"):
        _ = ssimae.nothing


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_ssim_needs_torch_and_nothing_else() -> None:
    heavy = ("scipy", "sklearn", "matplotlib", "tyro", "PIL", "tifffile", "jinja2", "rich", "safetensors")
    done = run(f"import sys, ssimae; ssimae.ssim_loss; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_ssim_works_without_the_compiled_library_and_says_so() -> None:
    done = run(
        "import sys; sys.modules['ssimae._rust'] = None\n"
        "import torch, ssimae\n"
        "x = torch.rand(1, 1, 16, 16)\n"
        "assert ssimae.ssim_loss(x, x, data_range=1.0) == 0\n"
        "try: ssimae.ssim_loss(x, x, data_range=1.0, backend='rust')\n"
        "except ValueError as error: print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "the compiled library is not there" in done.stdout
