"""The metrics of a voice."""

from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/total", "", "weighted sum of the losses below", "loss", False),
        Metric("loss/mel", "std", "absolute error of the standardised log-mel frames", "loss", False),
        Metric("loss/duration", "nats^2", "squared error of log(1 + frames) of phones", "loss", False),
        Metric("loss/pitch", "std^2", "squared error of the standardised pitch of phones", "loss", False),
        Metric("loss/energy", "std^2", "squared error of the standardised energy of phones", "loss", False),
        Metric("train/gradient_norm", "", "norm of the gradient before clipping, mean over the steps", "train"),
        Metric("train/learning_rate", "", "learning rate of the last step", "train"),
        Metric("train/samples_per_s", "1/s", "training sentences per second", "train", True),
        Metric("train/frames_per_s", "1/s", "log-mel frames per second of training", "train", True),
        Metric("eval/mel_error_db", "dB", "absolute error of log-mel frames, durations and pitch given", "eval", False),
        Metric("eval/duration_error_ms", "ms", "mean absolute error of the durations of phones", "eval", False),
        Metric("eval/pitch_error", "semitones", "mean absolute error of the pitch of voiced phones", "eval", False),
        Metric(
            "eval/mel_cepstral_distortion", "dB", "distortion of spoken spectrograms, aligned in time", "eval", False
        ),
    ]
)
