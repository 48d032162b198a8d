"""What a supervised experiment learns from and is tested on: pictures or a table, the classes and the share wanted."""

from dataclasses import dataclass, replace

import numpy as np

from lab.config.suggestions import did_you_mean
from lab.data.images import open_images
from lab.data.tables import is_table, matching, open_table
from lab.errors import UserError
from lab.supervised.config import AugmentConfig, DataConfig, ReconstructionConfig, SupervisedConfig


@dataclass(frozen=True, eq=False)
class Examples:
    """inputs: pictures uint8 [N, C, R, R] or rows of a table float32 [N, F], whose `columns` have names. targets: int64
    [N] into `classes`, or float32 [N] where there are none. fingerprint: of the whole set that they are from. rule: how
    pictures were brought to their size, "" where nobody wrote that down."""

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    fingerprint: str
    rule: str = ""

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input: [C, R, R] or [F]."""
        return tuple(self.inputs.shape[1:])

    @property
    def are_pictures(self) -> bool:
        return self.inputs.ndim == 4

    def part(self, rows: np.ndarray) -> "Examples":
        """The same with these rows alone."""
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows])


def split(config: DataConfig, seed: int, *, classified: bool = True) -> tuple[Examples, Examples]:
    """Examples to learn from and to be tested on. Raises UserError when they have no labels or do not match."""
    tables = is_table(config.source)
    if tables:
        whole, test = _tables(config, classified)
    else:
        if not classified:
            raise UserError(f"{config.source} is pictures, whose classes are no numbers to be told; name a table")
        whole, test = _pictures(config)
    whole = _of_classes(whole, config)
    if test is not None:
        return _fraction(whole, config, seed), _of_classes(test, config)
    if len(whole) < 2:
        raise UserError(f"{config.source} has {len(whole)} example: none is left to test on; name a data.test_source")
    order = np.random.default_rng(seed).permutation(len(whole))
    held = max(1, int(len(whole) * config.held_out))
    return _fraction(whole.part(np.sort(order[held:])), config, seed), whole.part(np.sort(order[:held]))


def examples_of(config: SupervisedConfig) -> tuple[Examples, Examples]:
    """The same for a whole configuration, which must suit them. Raises UserError."""
    task, source = config.task, config.data.source
    train, test = split(config.data, config.seed, classified=task.name != "regression")
    if not train.are_pictures:
        if config.network.name != "mlp":
            raise UserError(f"{source} is a table and a {config.network.name} reads pictures: set network.name=mlp")
        if task.name in ("denoising", "reconstruction"):
            raise UserError(f"task.name={task.name} needs pictures and {source} is a table")
        if "augment" in config.model_fields_set and config.augment != AugmentConfig():
            raise UserError(f"augment is for pictures and {source} is a table: leave it out")
    if isinstance(task, ReconstructionConfig) and task.normal:
        numbers = [class_number(name, train.classes, "task.normal") for name in task.normal]
        rows = np.flatnonzero(np.isin(train.targets, numbers))
        if not len(rows):
            raise UserError(f"{source} has no example of the classes of task.normal to learn from")
        normal = int(np.isin(test.targets, numbers).sum())
        if normal in (0, len(test)):
            which = "the classes of task.normal" if normal == 0 else "any class but those of task.normal"
            raise UserError(f"{test.name} has no example of {which} to be tested on: grades compare the two")
        return train.part(rows), test
    if train.classes:
        counts = np.bincount(train.targets, minlength=len(train.classes))
        empty = [name for name, count in zip(train.classes, counts, strict=True) if not count]
        if empty:
            raise UserError(
                f"{source} has no example of class {empty[0]!r} to learn from: add some, or leave the class out with "
                "data.classes"
            )
    return train, test


def class_number(name: str, classes: tuple[str, ...], key: str) -> int:
    """Raises UserError that names the nearest class and the setting `key`."""
    if name not in classes:
        raise UserError(f"{key}: no class {name!r}; {did_you_mean(name, list(classes))}")
    return classes.index(name)


def _pictures(config: DataConfig) -> tuple[Examples, Examples | None]:
    train = _labelled(config.source)
    if config.test_source is None:
        return train, None
    test = _labelled(config.test_source) if not is_table(config.test_source) else None
    if test is None or (test.shape, test.classes) != (train.shape, train.classes):
        raise UserError(f"{config.test_source} does not match {config.source} in size, channels or classes")
    return train, test


def _labelled(source: str) -> Examples:
    found = open_images(source)
    if found.labels is None:
        raise UserError(f"{source} has no labels: there is nothing to learn from it by example")
    return Examples(source, found.images, found.labels, found.classes, (), found.fingerprint, found.rule)


def _tables(config: DataConfig, classified: bool) -> tuple[Examples, Examples | None]:
    train = open_table(config.source, config.target, classified=classified)
    found = [train]
    if config.test_source is not None:
        if not is_table(config.test_source):
            raise UserError(f"{config.source} is a table and {config.test_source} is none: name a .csv file")
        other = open_table(config.test_source, config.target or train.target, classified=classified)
        found.append(matching(train, other, config.test_source))
    parts = [Examples(t.name, t.inputs, t.targets, t.classes, t.columns, t.fingerprint) for t in found]
    return parts[0], parts[1] if len(parts) > 1 else None


def _of_classes(whole: Examples, config: DataConfig) -> Examples:
    if not config.classes:
        return whole
    if not whole.classes:
        raise UserError(f"data.classes: {whole.name} has no classes")
    wanted = [class_number(name, whole.classes, "data.classes") for name in config.classes]
    if len(wanted) < 2 or len(set(wanted)) < len(wanted):
        raise UserError("data.classes: name two or more, each once")
    for name, number in zip(config.classes, wanted, strict=True):
        if not (whole.targets == number).any():
            raise UserError(f"data.classes: {whole.name} has no example of class {name!r}: add some, or leave it out")
    kept = whole.part(np.flatnonzero(np.isin(whole.targets, wanted)))
    numbers = np.full(len(whole.classes), -1, np.int64)
    numbers[wanted] = np.arange(len(wanted))
    return replace(kept, targets=numbers[kept.targets], classes=config.classes)


def _fraction(whole: Examples, config: DataConfig, seed: int) -> Examples:
    """The same share of every class, at least one of each, by the seed; of the whole where there are no classes."""
    if config.fraction == 1.0:
        return whole
    groups = whole.targets if whole.classes else np.zeros(len(whole), np.int64)
    generator = np.random.default_rng([seed, 1])  # its own, so that the held-out part stays what it is
    kept = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        kept.append(generator.permutation(rows)[: max(1, round(config.fraction * len(rows)))])
    return whole.part(np.sort(np.concatenate(kept)))
