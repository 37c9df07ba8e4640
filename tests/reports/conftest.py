"""Records as a real suite leaves them: several labels, three seeds, one diverged, one failed, one skipped, one hostile label."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from bench.cards import Card
from bench.store.record import TrialRecord
from bench.store.stored import CURVES, PER_IMAGE
from bench.suites.schema import Suite

HOSTILE = "<script>window.hacked=1</script>\"'&$_%{}--> =\n| `x` β 日本"


def card(metric, unit="", higher=True, title="", **protocol):
    return Card(metric, f"{metric} of <b>restored</b> pictures (Wang et al. 2004)", unit, higher, protocol, title=title).to_json()


CARDS = {
    "psnr": card("psnr", "dB", title="PSNR", border=0, colour="rgb", data="photos", n=12),
    "ssim": card("ssim", title="SSIM", window="gauss11", data="photos", n=12),
    "f1": card("detection:f1", title="F1", iou=0.5, data="scenes"),
    "lpips_like": card("gmsd", "", False, title="LPIPS-like", data="photos"),
}
QUALITY = {"deblurgan": 27.9, "srgan": 27.7, "wiener": 28.6, "unsharp": 24.6, "identity": 23.4, HOSTILE: 25.8, "cyclegan": 22.0}
TRAINED = {"deblurgan": 1.0, "srgan": 0.6, HOSTILE: 0.4, "cyclegan": 0.2}
TIMES = {"deblurgan": 38.0, "srgan": 21.0, "wiener": 2.4, "unsharp": 0.4, "identity": 0.02, HOSTILE: 19.0, "cyclegan": 30.0}


def _curves(label, seed, rng, diverges):
    steps = np.arange(1, 601)
    stop = 240 if diverges else 600
    rows = []
    for key in ("train/loss_g", "train/loss_d") if label != "srgan" else ("train/loss",):
        values = 2 * np.exp(-steps / 200 / TRAINED[label]) + 0.3 + 0.15 * rng.standard_normal(len(steps))
        rows += [(key, s, s * 4, s * 0.11 * (1 + seed / 9), v) for s, v in zip(steps[:stop].tolist(), values.tolist())]
    for s in range(50, stop + 1, 50):
        gain = (QUALITY[label] - 23.4) * (1 - np.exp(-s / 150))
        for column, scale, base in (("psnr", 1.0, 23.4), ("ssim", 0.03, 0.7)):
            rows.append((f"validation/{column}", s, s * 4, s * 0.11 * (1 + seed / 9), base + scale * (gain + 0.15 * rng.standard_normal())))
    if diverges:
        rows.append(("train/loss_g", 241, 964, 27.0, float("nan")))
    return pd.DataFrame(rows, columns=["key", "step", "images", "seconds", "value"])


def record(label="deblurgan", seed=0, outcome="finished", reason="", n=12, gallery=None, **changes):
    rng = np.random.default_rng([seed, *label.encode()])
    gain = QUALITY.get(label, 25.0) - 23.4
    easy = np.random.default_rng(7).normal(0, 1.5, n)  # pictures are hard for all methods alike
    scores = {
        "psnr": 23.4 + gain + easy + rng.normal(0, 0.4, n) + (0.1 * seed if label in TRAINED else 0),
        "ssim": np.clip(0.7 + 0.03 * gain + 0.02 * easy + rng.normal(0, 0.01, n), 0, 1),
        "f1": np.clip(0.45 + 0.05 * gain + rng.normal(0, 0.1, n), 0, 1),
        "lpips_like": 0.2 - 0.02 * gain + rng.normal(0, 0.004, n),
    }
    rows = [(c, f"img{i:02}", float(v), f"img{i:02}") for c, values in scores.items() for i, v in enumerate(values)]
    final = {c: float(v.mean()) for c, v in scores.items()}
    trained = label in TRAINED
    done = outcome == "finished"
    costs = {
        "parameters": 11.4e6 if trained else 0.0,
        "ms_per_image": TIMES.get(label, 1.0) * (1 + 0.02 * seed),
        "train_seconds": 66.0 * trained + seed,
    }
    costs |= {"images_per_s": 36.4, "peak_memory_mb": 812.0, "gflops": 678.3} if trained else {}
    fields = {
        "suite": "deblur", "task": "deblur", "label": label, "seed": seed, "tier": "quick", "outcome": outcome, "reason": reason,
        "spec": f'{label.split("<")[0] or "plugin"}[steps={600 if trained else 0},optimizer="adam[lr=1e-4,betas=(0.5,0.999)]"]',
        "trial_id": f"{seed:012x}",
        "params": {"steps": "600", "optimizer": "adam[lr=1e-4]"} if trained else {},
        "training_facts": {"data": "photos", "code": "1f3a"},
        "final": final if done else {},
        "best": {c: v + 0.1 for c, v in final.items()} if done and trained else {},
        "per_image": pd.DataFrame(rows if done else [], columns=list(PER_IMAGE)),
        "summary": {"auc": 26.1, "best_step": 450.0} if done and trained else {},
        "costs": costs if done else {},
        "cards": CARDS if done else {},
        "environment": {"python": "3.12.4", "torch": "2.11.0", "device": "cpu, 2 cores", "git": "a1b2c3d"},
        "tags": {"oracle": "PSF"} if label == "wiener" else {},
        "gallery": gallery,
    }  # fmt: skip
    if trained and outcome in ("finished", "diverged"):
        fields["curves"] = _curves(label, seed, rng, outcome == "diverged")
    return TrialRecord(**(fields | changes))


def _gallery(folder, label, blur):
    """Two items: a photograph-like picture and a scene with boxes."""
    folder.mkdir()
    for number, kind in enumerate(("photo", "scene")):
        rng = np.random.default_rng(number)
        y, x = np.mgrid[:160, :224] / 40
        base = np.stack([0.5 + 0.4 * np.sin(x * (2 + c) + y * c) * np.cos(y * 2 + number) for c in range(3)], -1)
        for _ in range(14):
            r, c, s = rng.integers(0, 130), rng.integers(0, 190), rng.integers(10, 34)
            base[r : r + s, c : c + s] = rng.random(3)
        sharp = Image.fromarray((base.clip(0, 1) * 255).astype(np.uint8))
        sharp.save(folder / f"{number:02}_target.png")
        sharp.filter(ImageFilter.BoxBlur(4)).save(folder / f"{number:02}_observed.png")
        sharp.filter(ImageFilter.BoxBlur(blur)).save(folder / f"{number:02}_restored.png")
        box = [30, 20, 90, 100, "digit <8>", 0.93]
        boxes = {"observed": [], "restored": [box], "target": [box, [120.5, 60.0, 180.0, 130.0, 1, 0.88]]} if kind == "scene" else {}
        files = {w: f"{number:02}_{w}.png" for w in ("observed", "restored", "target")}
        item = {"name": ["astronaut", "scene <1>"][number], "kind": kind, **files, "boxes": boxes, "classes": ["zero", "one"]}
        (folder / f"{number:02}.json").write_text(json.dumps(item))
    return folder


@pytest.fixture(scope="session")
def hostile():
    return HOSTILE


@pytest.fixture(scope="session")
def make_card():
    return card


@pytest.fixture(scope="session")
def make():
    """make(label, seed, outcome, reason, **fields) -> TrialRecord."""
    return record


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("galleries")
    out = []
    for i, label in enumerate(QUALITY):
        gallery = _gallery(root / str(i), label, 1 + i % 3)
        seeds = (0, 1, 2) if label in TRAINED else (0,)
        for seed in seeds:
            diverged = label == "cyclegan" and seed == 1
            reason = "loss_g was nan at update 241" if diverged else ""
            out.append(record(label, seed, "diverged" if diverged else "finished", reason, gallery=None if seed or diverged else gallery))
    failed = record("srresnet", 0, "failed", "RuntimeError: out of memory on <cuda:0>")
    return [*out, failed, record("pix2pix", 0, "skipped", "needs labels, which the task deblur does not offer")]


# -- optimizers on workloads, and a grid of losses by optimizers
GAIN = {"adam": 3.0, "nadam": 2.8, "sgdm": 2.0, "sgd": 1.0, "adadelta": 0.0}
LOSSES = {"adversarial": ["wgan_gp", "lsgan", "ragan"], "optimizer": ["adam", "sgd", "rmsprop", "lion"]}
WORKLOADS = ["digits", "vae", "logistic", "conv", "gan", "rosenbrock", "deblur"]


def trial(label, seed, workload, score, *, key="score", role="row", tried=None, diverged=False, params=None, images=0):
    """A trial whose validation score approaches its last in ten steps."""
    steps = np.arange(10, 101, 10)
    curve = [(f"validation/{key}", int(s), int(s), s / 10, float(score * (1 - np.exp(-s / 30)))) for s in steps]
    rng = np.random.default_rng(seed)
    rows = [(key, f"i{i}", float(score + rng.normal()), f"i{i}") for i in range(images)]
    outcome, reason = ("diverged", "nan") if diverged else ("finished", "")
    final = {} if diverged or role != "row" else {key: float(score)}
    frames = {"per_image": pd.DataFrame(rows, columns=list(PER_IMAGE)), "curves": pd.DataFrame(curve, columns=list(CURVES))}
    return TrialRecord(
        "optimizers", f"learn[{workload}]", label, label, seed, "quick", f"{seed:016x}", outcome, reason,
        params=params or {"optimizer": label}, final=final, cards={key: card(key)}, workload=workload, role=role, tried=tried or {},
        **frames,
    )  # fmt: skip


@pytest.fixture(scope="session")
def optimizers():
    """Five rules on seven workloads, three seeds; adadelta diverges once on one; tuning and a sweep of learning rates on digits."""
    rng = np.random.default_rng(0)
    out = [
        trial(label, seed, workload, 10 + gain + rng.normal(0, 0.15), diverged=(label, workload, seed) == ("adadelta", "vae", 1))
        for workload in WORKLOADS
        for label, gain in GAIN.items()
        for seed in range(3)
    ]
    for label, rate, seed in itertools.product(("adam", "sgd"), 10.0 ** np.arange(-4, 1.5, 0.5), range(3)):
        best = -2.5 if label == "adam" else -0.5
        fall = 1.5 * abs(math.log10(rate) - best)
        burst = rate > 10 ** (best + 1.6) and seed < 2
        out.append(trial(label, seed, "digits", 12 - fall + 0.1 * seed, role="sensitivity", tried={"lr": float(rate)}, diverged=burst))
    for label, study, k in itertools.product(("adam", "sgd"), range(3), range(5)):
        tried, score = {"study": study, "lr": 0.01 * k}, 9 + GAIN[label] + rng.normal()
        out.append(trial(label, 1000 + study, "digits", score, role="tuning", tried=tried, diverged=k == 4))
    return out


@pytest.fixture(scope="session")
def losses():
    """A grid of loss x optimizer with an interaction planted; two seeds, ten images."""
    out = []
    for (i, loss), (j, rule), seed in itertools.product(enumerate(LOSSES["adversarial"]), enumerate(LOSSES["optimizer"]), range(2)):
        score = 10 - 2 * i + 0.5 * j - 3 * (i == 1 and j == 1) + 0.1 * seed
        diverged = (loss, rule) == ("ragan", "lion")
        out.append(
            trial(f"{loss} + {rule}", seed, "", score, images=10, params={"adversarial": loss, "optimizer": rule}, diverged=diverged),
        )
    return out


@pytest.fixture(scope="session")
def make_trial():
    return trial


@pytest.fixture(scope="session")
def suite_of():
    """suite_of(**keys) -> Suite."""
    return lambda **more: Suite.model_validate({"name": "x", "title": "x", "tiers": {"quick": {}}} | more)


@pytest.fixture(scope="session")
def grid_suite(suite_of):
    return suite_of(task="learn", methods=["m"], sort="score", axes=LOSSES)
