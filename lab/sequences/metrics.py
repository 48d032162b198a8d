"""The metrics of sequences runs."""

from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/cross_entropy", "nats", "cross-entropy per target token of the training batches", "loss", False),
        Metric("loss/squared_error", "", "squared error of the numbers of the training batches", "loss", False),
        Metric("train/gradient_norm", "", "norm of the gradient before clipping, mean over the steps", "train"),
        Metric("train/learning_rate", "", "learning rate of the last step", "train"),
        Metric("train/samples_per_s", "1/s", "training examples per second", "train", True),
        Metric("train/tokens_per_s", "1/s", "target tokens per second of training", "train", True),
        Metric("eval/exact_match", "fraction", "test examples answered correctly", "eval", True),
        Metric("eval/token_accuracy", "fraction", "test tokens predicted right, with teacher forcing", "eval", True),
        Metric("eval/loss", "nats", "cross-entropy per test token, with teacher forcing", "eval", False),
        Metric("eval/perplexity", "", "perplexity of the test tokens, exp(eval/loss)", "eval", False),
        Metric("eval/bits_per_token", "bits", "eval/loss in bits", "eval", False),
        Metric("eval/intent_accuracy", "fraction", "test commands with the right intent", "eval", True),
        Metric("eval/slot_f1", "fraction", "F1 score of the slots of the test commands, whole slots", "eval", True),
        Metric("eval/rmse", "", "root mean squared error of the test numbers", "eval", False),
        Metric("eval/rounded_accuracy", "fraction", "test numbers with an error below 0.5", "eval", True),
    ]
)
