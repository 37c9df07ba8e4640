"""The life of a trial: what it leaves behind, and how it can end."""

import dataclasses
import json
import math
import re

import pytest
import safetensors.torch
import torch
from PIL import Image

from bench import evaluation, registry
from bench.external import weights
from bench.judging import judge
from bench.running import identify, train
from bench.running.job import Job, run
from bench.running.settings import Settings
from bench.spec import Spec, parse
from bench.store import identity
from bench.store.code_hash import file_hash
from bench.store.stored import CURVES, PER_IMAGE
from bench.suites import components
from bench.tasks._splits import open_split
from bench.training.build import build, open_task
from bench.training.loop import Interrupted
from bench.training.progress import Progress

PLUGIN = '''"""A method that goes wrong.

Departures: none
"""
import dataclasses
import torch
from torch import nn
from bench.errors import Unavailable, UsageError
from bench.method import Method, TrainHP, param


class Plugin(Method):
    """Trains one number."""

    HP = TrainHP

    def build(self, task):
        """The number."""
        self.net = nn.Conv2d(3, 3, 1)
        self.twin = self.net

    def train(self, data):
        """Counts."""
        while self.t < self.hp.steps:
            next(data)
            self.t += 1
            yield {"loss": torch.tensor(LOSS)}

    def restore(self, batch):
        """Restores."""
        RESTORE
'''


def made(plugin, name, loss="1.0", restore="return batch.observed"):
    plugin(name, PLUGIN.replace("LOSS", loss).replace("RESTORE", restore))
    return name


# -- what a finished trial leaves
def test_a_trained_trial(ran):
    bench, (_, record), _ = ran
    assert (record.label, record.outcome, record.reason, record.seed, record.tier, record.suite) == (
        "unet",
        "finished",
        "",
        0,
        "smoke",
        "tiny",
    )
    assert list(record.final) == ["psnr", "ssim"]
    assert (record.params["steps"], record.params["width"], record.params["optimizer"]) == ("4", "4", "adam[lr=0.03]")
    assert components.check_method(parse(record.spec)).options["width"] == 4
    assert record.cards.keys() >= {"psnr", "ssim", "parameters"}
    assert record.summary.keys() >= {"steps", "best_step", "auc"}
    assert (record.summary["steps"], record.summary["opt.fused"]) == (4, 1)
    assert record.costs.keys() >= {"train_seconds", "images_per_s", "ms_per_image", "parameters"}
    assert record.environment["torch"] == torch.__version__.partition("+")[0]
    assert "capped" not in record.tags
    folder = bench.out / "tiny" / "trials" / record.training_id
    assert sorted(p.name for p in folder.iterdir()) == ["judgements", "lock", "record"]  # no checkpoint stays
    files = {p.name for p in (folder / "record").iterdir()}
    assert files == {"record.json", "curves.parquet", "last.safetensors", "best.safetensors", "gallery"}
    assert {p.name for p in (folder / "judgements" / record.trial_id).iterdir()} == {"record.json", "per_image.parquet", "gallery"}


def test_scores_are_the_means_of_what_was_scored(ran):
    for record in ran[1]:
        assert tuple(record.per_image.columns) == PER_IMAGE
        means = record.per_image.groupby("column")["value"].mean()
        assert record.final == pytest.approx(dict(means), rel=1e-5)
        assert record.per_image.groupby("column")["image"].nunique().to_dict() == {"psnr": 2, "ssim": 2}
        assert (record.per_image["group"] == record.per_image["image"].str.partition("@")[0]).all()


def test_curves(ran):
    record = ran[1][1]
    assert tuple(record.curves.columns) == CURVES
    assert list(record.curves[record.curves.key == "train/loss"].step) == [1, 2, 3, 4]
    assert list(record.curves[record.curves.key == "validation/psnr"].step) == [0, 2, 4]
    assert list(record.curves[record.curves.key == "train/loss"].images) == [1, 2, 3, 4]
    assert (record.curves.seconds.diff().dropna() >= 0).all()


def test_an_untrained_trial(ran):
    bench, (record, _), _ = ran
    assert (record.label, record.outcome) == ("identity", "finished")
    assert record.best == record.final
    assert len(record.curves) == 0
    assert "train_seconds" not in record.costs
    assert not (bench.out / "tiny" / "trials" / record.training_id / "record" / "last.safetensors").exists()


def test_the_weights_are_those_that_were_judged(ran):
    bench, (_, record), _ = ran
    trial = bench.trials()[1]
    task = open_task(str(trial.task), None, torch.device("cpu"))
    method = build(trial, task)
    weights = safetensors.torch.load_file(bench.out / "tiny" / "trials" / record.training_id / "record" / "last.safetensors")
    assert {k.rpartition(".G.")[0] for k in weights} == {"method"}
    method.G.load_state_dict({k.removeprefix("method.G."): v for k, v in weights.items()})
    with torch.no_grad():
        assert task.score(method.G.eval() and method, lambda *_: None).values["psnr"] == pytest.approx(record.final["psnr"], abs=1e-5)


def test_the_best_weights_are_judged_where_they_are_not_the_last(tiny, plugin, ran):
    made(plugin, "peaks", restore="return batch.observed if self.t == 2 else 0 * batch.observed")
    (record,), seen = tiny.run(methods=["peaks"])
    assert (record.outcome, record.summary["best_step"], record.summary["collapse_step"]) == ("finished", 2, 4)
    assert record.best == pytest.approx(ran[1][0].final)  # identity's
    assert record.final["psnr"] < record.best["psnr"] - 5
    assert len(seen.judged) == 2
    assert tiny.mlflow_run(record).data.metrics["best/psnr"] == pytest.approx(record.best["psnr"])


def test_equal_trials_give_equal_bits(tiny, ran):
    (record,), _ = tiny.run(methods=["unet"])
    first, second = ((b.out / "tiny" / "trials" / record.training_id / "record" / "last.safetensors") for b in (tiny, ran[0]))
    assert first.read_bytes() == second.read_bytes()
    assert record.final == ran[1][1].final
    assert record.per_image.equals(ran[1][1].per_image)


def test_another_seed_gives_other_bits(continued, ran):
    (record,), _ = continued.run(methods=["unet"], seeds=[1])
    assert record.trial_id != ran[1][1].trial_id
    assert record.final != ran[1][1].final
    assert identity.row_of(record.facts) == identity.row_of(ran[1][1].facts)
    assert identity.protocol_of(record.facts) == identity.protocol_of(ran[1][1].facts)


def test_scenes_are_judged_by_the_detector(tiny):
    options = ["scenes=4", "scenes_data=digit_scenes[train=4]", "detection=detection"]
    (record,), _ = tiny.run(methods=["identity"], overrides=options)
    assert record.outcome == "finished", record.reason
    assert record.final.keys() >= {"psnr", "f1", "map", "gain"}
    assert record.final["gain"] == 0  # the blurred picture gains nothing on the blurred picture
    assert record.final["f1"] == record.summary["blurred/f1"]
    assert record.per_image.groupby("column")["image"].nunique()["f1"] == 4
    assert any(part.startswith("code.detector") for part in record.facts)
    gallery = tiny.out / "tiny" / "trials" / record.training_id / "judgements" / record.trial_id / "gallery"
    kinds = [json.loads(p.read_text())["kind"] for p in sorted(gallery.glob("*.json"))]
    assert sorted(set(kinds)) == ["photo", "scene"]


# -- how it can end
@pytest.mark.fault(
    "NaN: in the loss",
    cause="at its third update",
    expected="the trial has diverged, with its step and the curves so far; the others do not notice; it is not trained again",
)
def test_diverged(tiny, plugin):
    made(plugin, "explodes", loss='float("nan") if self.t == 3 else 1.0')
    (record, fine), seen = tiny.run(methods=["explodes", "identity"])
    assert (record.outcome, record.reason) == ("diverged", "loss is not finite at update 3")
    assert record.summary["diverged_step"] == 3
    assert list(record.curves[record.curves.key == "train/loss"].step) == [1, 2]
    assert record.final == record.best == {}
    assert fine.outcome == "finished"
    assert seen.ends == [("explodes", "diverged"), ("identity", "finished")]
    assert tiny.run(methods=["explodes"])[1].jobs == []  # a result: not trained again


@pytest.mark.fault(
    "process: a method raises",
    cause="in training and in judging",
    expected="the trial has failed with its reason and a traceback; the others finish; the next run tries it again",
)
@pytest.mark.parametrize("where", ["train", "restore"])
def test_failed(tiny, plugin, where):
    bad = 'raise KeyError("first\\nsecond")'
    made(plugin, f"fails_in_{where}", **({"loss": "1 / 0"} if where == "train" else {"restore": bad}))
    (record, fine), _ = tiny.run(methods=[f"fails_in_{where}", "identity"])
    assert record.outcome == "failed"
    assert record.reason == ("ZeroDivisionError: division by zero" if where == "train" else "KeyError: 'first\\nsecond'")
    assert fine.outcome == "finished"
    run = tiny.mlflow_run(record)
    assert (run.info.status, run.data.tags["outcome"]) == ("FAILED", "failed")
    assert "record/traceback.txt" in [a.path for a in tiny.store.client.list_artifacts(run.info.run_id, "record")]
    again, seen = tiny.run(methods=[f"fails_in_{where}", "identity"])
    assert seen.jobs == [(f"fails_in_{where}", "trains again: it failed before")]
    assert [r.outcome for r in again] == ["failed", "finished"]


@pytest.mark.parametrize("shape", ["[..., 1:]", ".mean(1, keepdim=True)", ".flatten()"])
def test_a_restored_picture_of_the_wrong_shape_fails_its_own_trial_alone(tiny, plugin, shape):
    made(plugin, "narrow", restore=f"return batch.observed{shape}")
    (record, fine), _ = tiny.run(methods=["narrow", "identity"])
    assert (record.outcome, fine.outcome) == ("failed", "finished")
    assert re.search(r"Plugin\.restore returned .* for pictures of \(", record.reason)


def test_skipped_for_want_of_weights(tiny, monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    (record,), _ = tiny.run(methods=["deblurgan[content=perceptual[net=vgg19],ngf=4,ndf=4,blocks=1]"])
    assert record.outcome == "skipped"
    assert record.reason.startswith("weights vgg19-dcbb9e9d.pth not found: run `runner.py weights fetch vgg19`, or get them from https://")
    assert tiny.run(methods=["deblurgan[content=perceptual[net=vgg19],ngf=4,ndf=4,blocks=1]"])[1].jobs == []


def test_skipped_for_want_of_kernels(tiny, tmp_path):
    pairs = tmp_path / "data" / "gopro_pairs"
    pairs.mkdir(parents=True)
    for kind, colour in (("blur", "gray"), ("sharp", "white")):
        Image.new("RGB", (48, 40), colour).save(pairs / f"a_{kind}1.png")
    tiny.settings = dataclasses.replace(tiny.settings, data_root=tmp_path / "data")
    (wiener, identity_), _ = tiny.run(methods=["wiener", "identity"], overrides=["data=gopro"])
    assert (wiener.outcome, wiener.reason) == ("skipped", "wiener needs psf, which the task does not offer with these data")
    assert wiener.tags["oracle"] == "PSF"
    assert identity_.outcome == "finished"
    assert identity_.final["psnr"] == pytest.approx(20 * math.log10(255 / 127), abs=0.05)  # gray 128 for white


def test_a_method_without_the_verb_is_skipped(tiny, plugin):
    plugin("mute", PLUGIN.replace("LOSS", "1.0").replace("RESTORE", "pass").replace("def restore", "def sample"))
    (record,), _ = tiny.run(methods=["mute"])
    assert (record.outcome, record.reason) == ("skipped", "mute cannot restore, which the task deblur asks for")


def test_identical_pictures_leave_an_infinite_psnr(tiny, tmp_path):
    pairs = tmp_path / "data" / "gopro_pairs"
    pairs.mkdir(parents=True)
    for kind in ("blur", "sharp"):
        Image.new("RGB", (48, 40), "gray").save(pairs / f"a_{kind}1.png")
    tiny.settings = dataclasses.replace(tiny.settings, data_root=tmp_path / "data")
    (record,), _ = tiny.run(methods=["identity"], overrides=["data=gopro"])
    assert record.outcome == "finished"
    assert record.final["psnr"] == math.inf
    assert record.summary["infinite/psnr"] == 1


def test_tied_weights_are_saved(tiny, plugin):
    made(plugin, "tied")
    (record,), _ = tiny.run(methods=["tied"])
    assert (record.outcome, record.reason) == ("finished", "")
    weights = safetensors.torch.load_file(tiny.out / "tiny" / "trials" / record.training_id / "record" / "last.safetensors")
    assert torch.equal(weights["method.net.weight"], weights["method.twin.weight"])


def test_a_cap_is_on_record(tiny):
    tiny.settings = dataclasses.replace(tiny.settings, max_seconds=1e-9)
    (record,), _ = tiny.run(methods=["unet"])
    assert (record.outcome, record.summary["steps"]) == ("finished", 1)
    assert record.tags["capped"] == "training stopped after 1e-09 s"


def test_interrupted_while_judging_keeps_the_training(tiny, ran):
    trial = tiny.trials()[1]
    judged = []

    class Watcher(Progress):
        def evaluating(self, done, total):
            judged.append(done)

    with pytest.raises(Interrupted):
        run(Job(0, (trial,), (identify.identify(trial, tiny.settings),)), tiny.settings, Watcher(), lambda: bool(judged))
    (record,), seen = tiny.run(methods=["unet"])
    assert seen.updates == []  # nothing was left to train
    assert record.final == ran[1][1].final
    assert list(record.curves.step) == list(ran[1][1].curves.step)


# -- identity
UNET = {"steps": 4, "batch_size": 1, "width": 4, "optimizer": "adam[lr=0.03]"}


def facts(trial, **settings):
    found = identify.identify(trial, Settings(out=None, device=torch.device("cpu"), **settings)).facts
    return {k: v for k, v in found.items() if k != "training"}  # the others say why that is another


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"spec": Spec("unet", {**UNET, "width": 5})}, {"hp.width"}),
        ({"spec": Spec("unet", {**UNET, "optimizer": "sgd"})}, {"hp.optimizer", "code.optimizer.sgd", "code.optimizer.adam"}),
        ({"seed": 1}, {"seed"}),
        ({"tier": "quick"}, {"tier"}),
        ({"evaluations": 9}, {"evaluations"}),
        ({"label": "another name", "suite": "other"}, set()),
    ],
)
def test_what_changes_the_identity(ran, change, names):
    trial = ran[0].trials()[1]
    a, b = facts(trial), facts(dataclasses.replace(trial, **change))
    assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} == names
    assert (identity.id_of(a) == identity.id_of(b)) == (not names)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("crop=16", {"task.crop"}),
        ("blur=motion_blur[max_len=9]", {"task.blur"}),
        ("metrics=('psnr',)", {"task.metrics", "card.ssim", "code.metric.ssim"}),
        ("metrics=('psnr[border=4]','ssim')", {"task.metrics", "card.psnr", "card.psnr[border=4]", "selects.card"}),
        ("data=digit_scenes[test=3]", {"task.data", "code.dataset.photos", "code.dataset.digit_scenes"}),
    ],
)
def test_every_task_option_changes_identity_and_protocol(ran, option, names):
    a, b = (facts(ran[0].trials(overrides=[o] if o else [])[1]) for o in ("", option))
    changed = {k for k in a.keys() | b.keys() if a.get(k) != b.get(k) and not k.startswith("data.")}
    assert changed == names
    assert identity.protocol_of(a) != identity.protocol_of(b)


@pytest.mark.parametrize(
    ("kind", "spec", "inner"),
    [
        ("schedule", "warmup", {("schedule", "constant")}),
        ("schedule", "warmup[then='warmup[then=\"cosine[end=0.1]\"]']", {("schedule", "warmup"), ("schedule", "cosine")}),
        ("schedule", "cosine[end=0.1]", set()),
        ("dataset", "photo_edges", {("dataset", "photos")}),
        ("metric", "detection[detector=yolo]", {("detector", "yolo")}),
        ("optimizer", "adam[lr=0.1]", set()),
        ("detector", "torchvision", set()),
    ],
)
def test_parts_inside_facts(kind, spec, inner):
    found = [(k, parse(text).name) for k, text in components.nested_components([(kind, spec)])]
    assert found[0] == (kind, parse(spec).name)
    assert set(found[1:]) == inner


def test_a_change_of_a_part_inside_a_part_changes_the_identity(ran, monkeypatch):
    trial = ran[0].trials()[1]
    trial = dataclasses.replace(trial, spec=Spec("unet", {**UNET, "schedule": "warmup[then=cosine]"}))
    before, cosine = facts(trial), registry.find("schedule", "cosine")
    assert "code.schedule.cosine" in before
    real = identify.code_hash
    monkeypatch.setattr(identify, "code_hash", lambda part, without=(): "changed" if part is cosine else real(part, without))
    assert {k for k, v in facts(trial).items() if before[k] != v} == {"code.schedule.cosine"}


def test_settings_that_change_the_identity(ran):
    trial = ran[0].trials()[1]
    ids = [identity.id_of(facts(trial, **s)) for s in ({}, {"max_seconds": 3.0}, {"deterministic": True})]
    assert len(set(ids)) == 3
    assert identity.id_of(facts(trial, checkpoint_seconds=1.0)) == ids[0]


def test_data_content_changes_the_identity(ran, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / "a.png")

    def digest():
        open_task.cache_clear()
        open_split.cache_clear()
        return facts(ran[0].trials(overrides=[f"data=folder[path={folder},split=test]"])[1])

    before = digest()
    Image.new("RGB", (64, 64), "blue").save(folder / "a.png")
    after = digest()
    open_task.cache_clear()
    assert {k.rpartition("/")[2] for k in before if before[k] != after[k]} == {"test"}
    assert identity.protocol_of(before) != identity.protocol_of(after)


def test_a_process_of_the_trials_finds_weights_below_the_data_root(tmp_path, monkeypatch):
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    Settings(out=tmp_path, device=torch.device("cpu"), data_root=tmp_path).prepare()
    assert tmp_path / "weights" in weights.folders()


def test_the_code_that_builds_trains_and_judges_decides_the_result(tiny):
    found = identify.identify(tiny.trials()[1], tiny.settings)
    assert (found.training["code.build"], found.training["code.train"]) == (file_hash(build), file_hash(train))
    assert (found.judging["code.judge"], found.judging["code.evaluation"]) == (file_hash(judge), file_hash(evaluation))
