"""Which real pictures samples are compared with, and which score the floor."""

from dataclasses import dataclass

from torch import Tensor

from gans.progressive.model import Sampler
from gans.progressive.real_images import reals_at
from lab.data.images import ImageSet, open_images
from lab.errors import UserError

LEAST = 16  # pictures that say anything about a distribution
_DEFAULT = 2000


@dataclass(frozen=True)
class RealPictures:
    """What as many samples are compared with, uint8 [N, C, R, R].

    others: what scores the floor against `real`, two halves of which do where it is None; `floor` says which it is.
    """

    real: Tensor
    others: Tensor | None
    floor: str


def real_pictures(sampler: Sampler, against: str, count: int | None) -> RealPictures:
    """`count` pictures, by default up to 2000, of the set `against`, or of the run's own data where that is "".

    The floor is scored by as many others: the run's own against another set's, else, where there are twice as many,
    pictures of the same set. Raises UserError for a set that does not suit the run or has too few pictures.
    """
    source = sampler.config.data.source
    test, stage = open_images(against or source), sampler.stage._replace(alpha=1.0)
    _check(sampler, test, against or source)
    own = _other_set(source, test) if against else None
    if own is not None:
        most, smaller = min((len(test), against), (len(own), source))
        count = _checked(count, most, most, smaller)
        floor = f"as many of the run's own pictures ({source})"
        return RealPictures(reals_at(test, count, stage), reals_at(own, count, stage), floor)
    count = _checked(count, max(len(test) // 2, LEAST), len(test), against or source)
    pictures = reals_at(test, 2 * count, stage)
    if len(pictures) == 2 * count:
        return RealPictures(pictures[:count], pictures[count:], "as many other real pictures")
    return RealPictures(pictures[:count], None, f"{count // 2:,} of the real pictures against the other half")


def _checked(count: int | None, fair: int, most: int, whose: str) -> int:
    if (count or LEAST) > most:
        raise UserError(f"{whose} has {most:,} pictures, fewer than the {count or LEAST:,} samples they are to grade")
    return min(_DEFAULT, fair) if count is None else count


def _check(sampler: Sampler, data: ImageSet, source: str) -> None:
    wanted, resolution = sampler.config.network, sampler.stage.resolution
    if data.channels != wanted.channels:
        raise UserError(f"{source} has {data.channels} channels and this run's pictures have {wanted.channels}")
    if data.resolution < resolution:
        raise UserError(f"{source} has {data.resolution} x {data.resolution} pictures and this run makes {resolution}")


def _other_set(source: str, test: ImageSet) -> ImageSet | None:
    """The run's own data, unless it is not here any more or the same as the test's."""
    try:
        own = open_images(source)
    except UserError:
        return None
    return None if own.fingerprint == test.fingerprint else own
