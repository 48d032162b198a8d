"""The table of supervised tasks; a new one is a module and a line here."""

from typing import Annotated

from pydantic import Discriminator, Tag

from lab.config.sections import name_of
from lab.supervised.tasks.anomalies import Anomalies
from lab.supervised.tasks.classification import Classification
from lab.supervised.tasks.denoising import Denoising
from lab.supervised.tasks.detection import Detection
from lab.supervised.tasks.reconstruction import Reconstruction
from lab.supervised.tasks.regression import Regression
from lab.supervised.tasks.speech_denoising import SpeechDenoising
from lab.supervised.tasks.task import Task

TaskConfig = Annotated[
    Annotated[Classification, Tag("classification")]
    | Annotated[Regression, Tag("regression")]
    | Annotated[Denoising, Tag("denoising")]
    | Annotated[Reconstruction, Tag("reconstruction")]
    | Annotated[Detection, Tag("detection")]
    | Annotated[Anomalies, Tag("anomalies")]
    | Annotated[SpeechDenoising, Tag("speech_denoising")],
    Discriminator(name_of),
]
TASKS: tuple[type[Task], ...] = (
    Classification,
    Regression,
    Denoising,
    Reconstruction,
    Detection,
    Anomalies,
    SpeechDenoising,
)
