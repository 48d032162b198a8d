"""Training and test set of a supervised experiment, from its configuration."""

import logging
from dataclasses import replace

import numpy as np

from lab.data.columns import Reading
from lab.data.images import open_images, verify_images
from lab.data.tables import Table, is_table, open_table
from lab.errors import UserError
from lab.run.memory import available_mb
from lab.run.memory_needs import Need, check_fits
from lab.supervised.config import AugmentConfig, DataConfig, SupervisedConfig
from lab.supervised.labelled_set import LabelledSet, TableRows, class_index
from lab.supervised.preprocessing import Preprocessing, fit
from lab.supervised.sound.clips import open_clips
from lab.supervised.tasks.speech_denoising import SpeechDenoising

_log = logging.getLogger(__name__)


def split(config: DataConfig, seed: int, *, classified: bool = True) -> tuple[LabelledSet, LabelledSet]:
    """Training and test set. Raises UserError when they have no labels or do not match.

    Rows of a table are not preprocessed yet: inputs float64 [N, C], and numbers in the unit of the file.
    """
    tables = is_table(config.source)
    if tables:
        whole, test = _table_sets(config, classified)
    else:
        if not classified:
            raise UserError(f"{config.source} has images with classes, not numbers to predict: name a table")
        whole, test = _image_sets(config)
    whole = _of_classes(whole, config)
    if test is not None:
        if test.fingerprint == whole.fingerprint:
            _log.warning(
                "data.test_source holds the samples of data.source: the metrics of the test set are those of training"
            )
        return _fraction(whole, config, seed), _of_classes(test, config)
    kept, held = _held_out(whole, config, seed)
    return _fraction(kept, config, seed), held


def _held_out(whole: LabelledSet, config: DataConfig, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """A set without the samples held out for the test, and these."""
    if len(whole) < 2:
        raise UserError(f"{config.source} has {len(whole)} sample: none is left for testing; name a data.test_source")
    order = np.random.default_rng(seed).permutation(len(whole))
    held = max(1, int(len(whole) * config.held_out))
    return whole.subset(np.sort(order[held:])), whole.subset(np.sort(order[:held]))


def training_and_test(
    config: SupervisedConfig, preprocessing: Preprocessing | None = None
) -> tuple[LabelledSet, LabelledSet]:
    """Training and test set of a configuration. Raises UserError if data, task and network do not fit.

    preprocessing: of a table's columns; by default it is fitted to the training set.
    """
    task, source = config.task, config.data.source
    if isinstance(task, SpeechDenoising):
        return _clips(config, task)
    train, test = split(config.data, config.seed, classified=task.targets == "classes")
    if not train.has_images:
        if not config.network.reads_tables:
            raise UserError(f"{source} is a table and a {config.network.name} reads images: set network.name=mlp")
        if task.needs_images:
            raise UserError(f"task.name={task.name} needs images and {source} is a table")
        if "augment" in config.model_fields_set and config.augment != AugmentConfig():
            raise UserError(f"augment is for images and {source} is a table: leave it out")
    selected = task.select(train, test)
    if selected is not train:
        return (selected, test) if train.has_images else _both_preprocessed(config, selected, test, preprocessing)
    if len(train.classes) == 1 and task.targets == "classes" and not task.writes_images:
        raise UserError(f"{source} has a single class, {train.classes[0]!r}: a classifier needs two or more")
    if train.classes:
        counts = np.bincount(train.targets, minlength=len(train.classes))
        empty = [name for name, count in zip(train.classes, counts, strict=True) if not count]
        if empty:
            raise UserError(
                f"{source} has no sample of class {empty[0]!r} to train on: add some, or exclude the class by "
                "data.classes"
            )
    return (train, test) if train.has_images else _both_preprocessed(config, train, test, preprocessing)


def _both_preprocessed(
    config: SupervisedConfig, train: LabelledSet, test: LabelledSet, preprocessing: Preprocessing | None
) -> tuple[LabelledSet, LabelledSet]:
    """Both tables as inputs of the network."""
    if preprocessing is None:
        rows = train.table
        preprocessing = fit(rows.inputs, rows.schema, rows.target, rows.numbers, config.data.max_categories)
    size = (len(train) + len(test)) * preprocessing.width * 4
    need = Need("the table with one input for each category", size, "data.max_categories, or use data.ignore")
    check_fits([need], available_mb(), "this machine")
    return _preprocessed(train, preprocessing), _preprocessed(test, preprocessing)


def verify_data(config: SupervisedConfig) -> None:
    """Raise UserError where a packed set has changed since it was packed; tables and sound are read whole anyway."""
    if config.task.needs_sound:
        return
    for source in (config.data.source, config.data.test_source):
        if source is not None and not is_table(source):
            verify_images(open_images(source))


def _clips(config: SupervisedConfig, task: SpeechDenoising) -> tuple[LabelledSet, LabelledSet]:
    """Clips of sound. Raises UserError for settings of images and tables."""
    data = config.data
    if "augment" in config.model_fields_set and config.augment != AugmentConfig():
        raise UserError(f"augment is for images and {data.source} is sound: leave it out")
    if data.classes:
        raise UserError(f"data.classes: {data.source} is sound without classes; leave it out")
    whole = open_clips(data.source, rate=task.rate, seconds=task.seconds)
    if data.test_source is None:
        train, test = _held_out(whole, data, config.seed)
    else:
        train, test = whole, open_clips(data.test_source, rate=task.rate, seconds=task.seconds)
    return _fraction(train, data, config.seed), test


def _image_sets(config: DataConfig) -> tuple[LabelledSet, LabelledSet | None]:
    train = _labelled(config.source)
    if config.test_source is None:
        return train, None
    test = _labelled(config.test_source) if not is_table(config.test_source) else None
    if test is None or test.shape != train.shape or not set(test.classes) <= set(train.classes):
        raise UserError(f"{config.test_source} does not match {config.source} in size, channels or classes")
    # By name: a test set may lack images of a class, and its classes are then numbered differently.
    numbers = np.array([train.classes.index(name) for name in test.classes], np.int64)
    return train, replace(test, targets=numbers[test.targets], classes=train.classes)


def _labelled(source: str) -> LabelledSet:
    found = open_images(source)
    if found.labels is None:
        raise UserError(f"{source} has no labels, which supervised training needs")
    return LabelledSet(source, found.images, found.labels, found.classes, (), found.fingerprint, found.rule)


def _table_sets(config: DataConfig, classified: bool) -> tuple[LabelledSet, LabelledSet | None]:
    reading = reading_of(config)
    train = open_table(config.source, config.target, classified=classified, reading=reading)
    found = [train]
    if config.test_source is not None:
        if not is_table(config.test_source):
            raise UserError(f"{config.source} is a table and {config.test_source} is not: name a .csv file")
        target = config.target or train.target
        other = open_table(config.test_source, target, classified=classified, reading=reading, like=train)
        found.append(other)
    parts = [_rows_of(table) for table in found]
    return parts[0], parts[1] if len(parts) > 1 else None


def reading_of(config: DataConfig) -> Reading:
    """How the columns of a configuration's tables are read."""
    return Reading(config.blanks, config.ignore, config.categories, config.date_format)


def _rows_of(table: Table) -> LabelledSet:
    numbers = None if table.classes else table.targets
    rows = TableRows(table.inputs, table.schema, table.target, numbers)
    return LabelledSet(
        table.name, table.inputs, table.targets, table.classes, table.columns, table.fingerprint, rows=rows
    )


def _preprocessed(data: LabelledSet, preprocessing: Preprocessing) -> LabelledSet:
    rows = replace(data.table, preprocessing=preprocessing)
    targets = data.targets if rows.numbers is None else preprocessing.standardized(rows.numbers)
    return replace(data, inputs=preprocessing.encode(rows.inputs, rows.schema), targets=targets, rows=rows)


def _of_classes(whole: LabelledSet, config: DataConfig) -> LabelledSet:
    if not config.classes:
        return whole
    if not whole.classes:
        raise UserError(f"data.classes: {whole.name} has no classes")
    wanted = [class_index(name, whole.classes, "data.classes") for name in config.classes]
    if len(wanted) < 2 or len(set(wanted)) < len(wanted):
        raise UserError("data.classes: name two or more, each once")
    for name, number in zip(config.classes, wanted, strict=True):
        if not (whole.targets == number).any():
            raise UserError(f"data.classes: {whole.name} has no sample of class {name!r}: add some, or leave it out")
    kept = whole.subset(np.flatnonzero(np.isin(whole.targets, wanted)))
    numbers = np.full(len(whole.classes), -1, np.int64)
    numbers[wanted] = np.arange(len(wanted))
    return replace(kept, targets=numbers[kept.targets], classes=tuple(whole.classes[index] for index in wanted))


def _fraction(whole: LabelledSet, config: DataConfig, seed: int) -> LabelledSet:
    """Random samples by the seed: a fraction of every class (at least one sample each), or of a set without classes."""
    if config.fraction == 1.0:
        return whole
    groups = whole.targets if whole.classes else np.zeros(len(whole), np.int64)
    generator = np.random.default_rng([seed, 1])  # separate, so that the held-out part does not change
    kept = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        kept.append(generator.permutation(rows)[: max(1, round(config.fraction * len(rows)))])
    return whole.subset(np.sort(np.concatenate(kept)))
