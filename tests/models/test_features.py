"""Pretrained features: only torchvision's own files are taken, nothing is downloaded, weights stay as they are."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from ssimae.models import features
from ssimae.models.features import AlexNetFeatures, ResNet18Features, pretrained_name, pretrained_state

NETWORKS = {"alexnet": AlexNetFeatures, "resnet18": ResNet18Features}


@pytest.fixture
def weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights for AlexNet that passes for torchvision's: its own digest stands in its name."""
    from torchvision.models import alexnet

    path = tmp_path / "weights.pth"
    torch.manual_seed(3)
    torch.save(alexnet(weights=None).state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(features.FILES, "alexnet", f"alexnet-owt-{digest[:8]}.pth")
    return path


def test_names_are_torchvision_s() -> None:
    from torchvision.models import AlexNet_Weights, ResNet18_Weights

    for name, weights in (("alexnet", AlexNet_Weights), ("resnet18", ResNet18_Weights)):
        assert weights.IMAGENET1K_V1.url == features.URL + features.FILES[name]


def test_a_missing_file_is_named_with_its_source(tmp_path: Path) -> None:
    for name in NETWORKS:
        with pytest.raises(FileNotFoundError) as error:
            pretrained_state(name, tmp_path / "none.pth")
        for part in ("none.pth", features.URL + features.FILES[name], "--weights FILE"):
            assert part in str(error.value)


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alexnet-owt-7be5be79.pth"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="its SHA-256 begins"):
        pretrained_state("alexnet", path)
    with pytest.raises(ValueError, match=r"neither alexnet-owt-7be5be79\.pth nor resnet18-f37072fd\.pth"):
        pretrained_name(path)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"no weights at all")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(features.FILES, "resnet18", f"resnet18-{digest[:8]}.pth")
    with pytest.raises(ValueError, match=r"damaged\.pth: damaged"):
        pretrained_state("resnet18", path)


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(tmp_path / "harmed"), "w"))

    path = tmp_path / "harm.pth"
    torch.save({"features.0.weight": Harm()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(features.FILES, "alexnet", f"alexnet-owt-{digest[:8]}.pth")
    with pytest.raises(ValueError, match="damaged"):
        pretrained_state("alexnet", path)
    assert not (tmp_path / "harmed").exists()


def test_weights_come_from_the_cache_or_a_file(
    weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub"
    (hub / "checkpoints").mkdir(parents=True)
    (hub / "checkpoints" / features.FILES["alexnet"]).write_bytes(weights_file.read_bytes())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    assert pretrained_name(weights_file) == "alexnet"
    named, cached = AlexNetFeatures.pretrained(weights_file), AlexNetFeatures.pretrained()
    assert named.source == cached.source == f"imagenet:{hashlib.sha256(weights_file.read_bytes()).hexdigest()}"
    images = torch.rand(2, 1, 64, 64)
    assert torch.equal(named(images), cached(images))
    assert not torch.equal(named(images), AlexNetFeatures.random(0)(images))


def test_alexnet_s_features_are_torchvision_s_third_layer(weights_file: Path) -> None:
    from torchvision.models import alexnet

    network = alexnet(weights=None)
    network.load_state_dict(torch.load(weights_file, weights_only=True))
    network.eval()
    images = torch.rand(2, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    inner = (images - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        wanted = network.features[:8](inner)
    assert torch.equal(AlexNetFeatures.pretrained(weights_file)(images), wanted)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in network.features[:8]) == 3
    assert isinstance(network.features[8], torch.nn.Conv2d)


@pytest.mark.parametrize("kind", NETWORKS.values())
def test_gray_is_three_equal_channels(kind: type[AlexNetFeatures | ResNet18Features]) -> None:
    network, gray = kind.random(0), torch.rand(2, 1, 32, 32)
    assert torch.equal(network(gray), network(gray.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("kind", NETWORKS.values())
def test_gradients_reach_the_images_and_no_weight(kind: type[AlexNetFeatures | ResNet18Features]) -> None:
    network = kind.random(0)
    images = torch.rand(2, 1, 64, 64, requires_grad=True)
    network(images).sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("kind", NETWORKS.values())
def test_random_weights_follow_from_their_seed_alone(kind: type[AlexNetFeatures | ResNet18Features]) -> None:
    before = torch.random.get_rng_state()
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    first = kind.random(5)(images)
    torch.rand(7)
    assert torch.equal(first, kind.random(5)(images))
    assert not torch.equal(first, kind.random(6)(images))
    torch.random.set_rng_state(before)
    kind.random(5)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("side", [16, 32, 100])
def test_resnet_s_features_are_512_numbers_that_neither_vanish_nor_explode(side: int) -> None:
    found = ResNet18Features.random(0)(torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (4, 512)
    assert torch.isfinite(found).all()
    assert 1e-3 < float(found.std()) < 1e3


def test_resnet_stays_in_evaluation_mode() -> None:
    network = ResNet18Features.random(0)
    images = torch.rand(4, 1, 32, 32)
    before = network(images)
    network.train()
    assert torch.equal(network(images), before)
