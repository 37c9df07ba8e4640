"""What can be scored: a kind of results for each --task, and those that are neither pictures nor samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.commands.score_requests import Request, metrics_of, request_pictures, request_rows, request_samples, task_beside, truth_of
from bench.commands.use_arguments import ScoreOptions
from bench.errors import UsageError
from bench.spec import Spec, parse
from datasets.reading.boxes import open_found, read_truth
from datasets.reading.dicom import HU_ENDINGS, size_of_slice
from datasets.reading.labels import ENDINGS as LABEL_ENDINGS
from datasets.reading.matching import match_pictures

_OF_DENSITIES = ("cc", "kl", "nss", "auc_judd", "sim", "auc_borji", "shuffled_auc", "mae", "f_beta")
_OF_MASKS = ("mae", "f_beta", "cc", "sim", "kl", "nss", "auc_judd", "auc_borji", "shuffled_auc")
_OF_SLICES = ("psnr_hu", "ssim_hu", "psnr_hu[window=full]", "ssim_hu[window=full]", "rmse_hu")
_ONLY = {  # option -> the kind of results that has it
    "fixations": "saliency",
    "masks": "saliency",
    "images": "detection",
    "classes": "segmentation",
    "ignore": "segmentation",
    "real": "samples",
}


def request_of(options: ScoreOptions) -> Request:
    """The request of the kind that is asked for.

    Raises:
        UsageError: options that do not go together, files that do not belong together.
    """
    kind = options.task or ("samples" if options.real else "pictures")
    if kind not in KINDS:
        raise UsageError(f"unknown --task {kind!r}; known: {', '.join(KINDS)}")
    if foreign := [name for name, owner in _ONLY.items() if getattr(options, name) not in (None, "") and owner != kind]:
        raise UsageError(f"--{foreign[0]} is of --task {_ONLY[foreign[0]]}, not of {kind}")
    if missing := [path for path in options.results if not path.exists()]:
        raise UsageError(f"{missing[0]} does not exist: give the folder, archive, array or file of the results")
    return KINDS[kind](options)


def _request_saliency(options: ScoreOptions) -> Request:
    """Saliency maps beside densities, fixations and masks."""
    truth = options.truth or options.masks
    if truth is None:
        raise UsageError("say what the maps are compared with: --truth FOLDER of densities, --masks FOLDER of objects, or both")
    without = match_pictures(options.results, truth, options.match, options.allow_missing)
    of_masks = options.truth is None
    metrics = metrics_of(options) or (_OF_MASKS if of_masks else _OF_DENSITIES)
    masks = None if of_masks else options.masks
    task = task_beside(truth, metrics, without, fixations=options.fixations, masks=masks)
    task["holds"] = "masks" if of_masks else "densities"
    return request_rows(options, "saliency maps", truth, Spec("maps", task), metrics[:3])


def _request_ct(options: ScoreOptions) -> Request:
    """CT slices beside those of the full dose."""
    truth = truth_of(options, "slices")
    without = match_pictures(options.results, truth, options.match, options.allow_missing, HU_ENDINGS, size_of_slice)
    metrics = metrics_of(options) or _OF_SLICES
    task = task_beside(truth, metrics, without, observed=options.observed)
    return request_rows(options, "CT slices", truth, Spec("slices", task), metrics[:2])


def _request_detection(options: ScoreOptions) -> Request:
    """Boxes beside annotated ones."""
    truth, metric = truth_of(options, "boxes"), _only_metric(options, "box_agreement")
    annotated = read_truth(truth, options.images)
    for path in options.results:
        read = open_found(path, options.match, annotated)
        for name in annotated.objects:
            read(name)
    task = {"truth": str(truth.resolve()), "metric": metric}
    if options.images is not None:
        task["images"] = str(options.images.resolve())
    return request_rows(options, "boxes", truth, Spec("boxes", task), ("map", "ap50", "f1"))


def _request_segmentation(options: ScoreOptions) -> Request:
    """Label maps beside true ones."""
    truth = truth_of(options, "labels")
    metric = parse(_only_metric(options, "label_agreement"))
    given = {name: value for name in ("classes", "ignore") if (value := getattr(options, name)) is not None}
    if twice := [name for name in given if name in metric.options]:
        raise UsageError(f"{twice[0]} is given twice, by --{twice[0]} and in {metric}: give one")
    spec = Spec(metric.name, {**metric.options, **given})
    without = match_pictures(options.results, truth, options.match, options.allow_missing, LABEL_ENDINGS)
    task = {"truth": str(truth.resolve()), "metric": str(spec)} | ({"without": tuple(without)} if without else {})
    return request_rows(options, "label maps", truth, Spec("labels", task), ("iou", "pixel_accuracy", "class_accuracy"))


KINDS: Mapping[str, Callable[[ScoreOptions], Request]] = {
    "pictures": request_pictures,
    "samples": request_samples,
    "saliency": _request_saliency,
    "ct": _request_ct,
    "detection": _request_detection,
    "segmentation": _request_segmentation,
}
"""What can be scored: --task -> how it is asked for."""


def _only_metric(options: ScoreOptions, usual: str) -> str:
    if len(options.metrics) > 1:
        raise UsageError(f"{options.metrics[1]}: one metric gives all columns here, {usual}[...]")
    return options.metrics[0] if options.metrics else usual
