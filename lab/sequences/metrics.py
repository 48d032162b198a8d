"""What a sequences experiment measures."""

from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/train", "nats", "cross-entropy per answered symbol of the training batches", "loss", False),
        Metric("loss/train_square", "", "squared error of the numbers answered in training", "loss", False),
        Metric("learner/gradient_norm", "", "norm of the gradient before clipping, mean of the iteration", "learner"),
        Metric("learner/learning_rate", "", "of the last step", "learner"),
        Metric("speed/examples_per_s", "1/s", "training examples per second", "speed", True),
        Metric("speed/symbols_per_s", "1/s", "symbols answered per second of training", "speed", True),
        Metric("eval/exact_match", "share", "test examples answered without a mistake", "eval", True),
        Metric("eval/symbol_accuracy", "share", "test symbols foretold, each after the true ones", "eval", True),
        Metric("eval/loss", "nats", "cross-entropy per test symbol, each after the true ones", "eval", False),
        Metric("eval/perplexity", "", "exponential of eval/loss: as many symbols were in doubt", "eval", False),
        Metric(
            "eval/bits_per_symbol", "bits", "eval/loss in bits: what a symbol of the test text costs", "eval", False
        ),
        Metric("eval/rmse", "", "root of the mean squared error of the numbers of the test", "eval", False),
        Metric("eval/nearest", "share", "test numbers missed by less than a half", "eval", True),
    ]
)
